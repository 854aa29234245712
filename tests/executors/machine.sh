# Makes of one command a machine of its own, but for the network: host name, processes, disk.
# unshare --mount --uts --pid --fork --kill-child --mount-proc sh machine.sh NAME HIDDEN COMMAND...
# What it reads is what an image holds, and cannot be written. What it writes is in /tmp, memory of its own.
set -e
hostname "$1"
# The folder of the test: it need not be below /tmp.
mount -t tmpfs tmpfs "$2"
for folder in /tmp /var/tmp /dev/shm; do mount -t tmpfs tmpfs "$folder"; done
mount -o remount,bind,ro /
shift 2
exec "$@"

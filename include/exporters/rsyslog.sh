#!/bin/sh
# Ships log records with rsyslog, in the foreground. The settings of exporters.env have to be in the environment.
#
# Each start reads all files from their beginning. rsyslog 8.2302 keeps positions and queues in ways that lose
# lines when it ends while Elasticsearch is away; lines that are sent again are stored once, by their ids.
set -eu
: "${FLYWHEEL_STATE:?set the variables of exporters.env}"
rm -f "$FLYWHEEL_STATE"/imfile-state:*
exec "${RSYSLOGD:-rsyslogd}" -n -iNONE -f "${FLYWHEEL_RSYSLOG_CONF:-$(dirname "$0")/rsyslog.conf}"

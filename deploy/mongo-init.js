// Run by the image of MongoDB when its volume is empty: the user that the connection `flywheel_runs` names.
const password = process.env.MONGO_FLYWHEEL_PASSWORD;
if (!password) {
  throw new Error("MONGO_FLYWHEEL_PASSWORD is not set");
}
db.getSiblingDB("flywheel").createUser({
  user: "flywheel",
  pwd: password,
  roles: [{ role: "readWrite", db: "flywheel" }],
});

// Writes one key after the other through node-redis's Sentinel support, and prints each acknowledged one with its time.
const { setTimeout: pause } = require("timers/promises");
const { createSentinel } = require("redis");

const [name, ...addresses] = process.argv.slice(2);
const sentinelRootNodes = addresses.map((address) => {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
});
const redis = createSentinel({ name, sentinelRootNodes });
redis.on("error", (e) => console.log(e.message));

async function write() {
  await redis.connect();
  for (let n = 0; ; n++) {
    const key = `node-redis:${n}`;
    try {
      await redis.set(key, "");
      console.log(`acked ${(performance.timeOrigin + performance.now()) / 1000} ${key}`);
    } catch (e) {
      console.log(e.message);
    }
    await pause(10);
  }
}

write();

// Writes one key after the other through ioredis's Sentinel support, and prints each acknowledged one with its time.
const { setTimeout: pause } = require("timers/promises");
const { Redis } = require("ioredis");

const [name, ...addresses] = process.argv.slice(2);
const sentinels = addresses.map((address) => {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
});
const redis = new Redis({
  name,
  sentinels,
  connectTimeout: 1000,
  sentinelCommandTimeout: 1000,
  commandTimeout: 1000,
});
redis.on("error", (e) => console.log(e.message));

async function write() {
  for (let n = 0; ; n++) {
    const key = `ioredis:${n}`;
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

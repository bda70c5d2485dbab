# Writes one key after the other through redis-rb's Sentinel support, and prints each acknowledged one with its time.
require "redis"

name, *addresses = ARGV
sentinels = addresses.map do |address|
  host, _, port = address.rpartition(":")
  { host: host, port: port.to_i }
end
redis = Redis.new(url: "redis://#{name}", sentinels: sentinels, role: :master, timeout: 1)
$stdout.sync = true
(0..).each do |n|
  key = "ruby-redis:#{n}"
  begin
    redis.set(key, "")
    puts format("acked %.6f %s", Time.now.to_f, key)
  rescue Redis::BaseError => e
    puts e.message
  end
  sleep 0.01
end

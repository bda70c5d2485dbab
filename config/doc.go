// Package config says what a configuration may hold: the types, their defaults, and the checks that name
// file, key, value and remedy. Its types are plain data that every other package may read.
//
// A value comes from, in this order, a flag, an environment variable (PICKET_ and the key:
// PICKET_AGENT_DATA_DIR), the file, the default. Lists, so masters and webhooks too, come from the file only, except the
// agents, which PICKET_CLUSTER_PEERS may name. An empty environment variable counts as none. LoadLayer puts a
// configuration in another form, such as Redis Sentinel's, above and below the file.
//
// Load says everything that is wrong at once, and gives a Config only if nothing is: who holds one that was
// loaded need not check it again. Secrets never appear in errors, nor when a Config is printed. The file is
// never written.
package config

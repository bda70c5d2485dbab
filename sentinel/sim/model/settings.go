package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is what values a parameter takes.
type kind int

const (
	anyText kind = iota
	numeric
	byteSize
	yesOrNo
)

// parameter is a directive of redis.conf.
type parameter struct {
	name, alias string
	kind        kind
	initial     string
	low, high   int64 // of numbers; 0, 0: any
	fixed       bool  // CONFIG SET refuses it
}

// parameters are those that change how the model behaves, and some that clients ask for.
var parameters = []*parameter{
	{name: "port", kind: numeric, initial: "6379", fixed: true},
	{name: "bind", initial: "* -::*", fixed: true},
	{name: "databases", kind: numeric, initial: "16", fixed: true},
	{name: "dir", initial: "/"},
	{name: "dbfilename", initial: "dump.rdb"},
	{name: "save"},
	{name: "appendonly", kind: yesOrNo, initial: "no"},
	{name: "appendfsync", initial: "everysec"},
	{name: "requirepass"},
	{name: "masterauth"},
	{name: "masteruser"},
	{name: "enable-debug-command", initial: "no", fixed: true},
	{name: "maxclients", kind: numeric, initial: "10000", low: 1, high: math.MaxUint32},
	{name: "maxmemory", kind: byteSize, initial: "0"},
	{name: "maxmemory-policy", initial: "noeviction"},
	{name: "timeout", kind: numeric, initial: "0", high: math.MaxInt32},
	{name: "tcp-keepalive", kind: numeric, initial: "300", high: math.MaxInt32},
	{name: "hz", kind: numeric, initial: "10", high: math.MaxInt32},
	{name: "loglevel", initial: "notice"},
	{name: "notify-keyspace-events"},
	{name: "protected-mode", kind: yesOrNo, initial: "yes"},
	{name: "shutdown-timeout", kind: numeric, initial: "10", high: math.MaxInt32},
	{name: "client-output-buffer-limit", initial: "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
	{name: "replicaof", alias: "slaveof", fixed: true},
	{name: "min-replicas-to-write", alias: "min-slaves-to-write", kind: numeric, initial: "0", high: math.MaxInt32},
	{name: "min-replicas-max-lag", alias: "min-slaves-max-lag", kind: numeric, initial: "10", high: math.MaxInt32},
	{name: "repl-backlog-size", kind: byteSize, initial: "1048576", low: 1, high: math.MaxInt64},
	{name: "repl-backlog-ttl", kind: numeric, initial: "3600", high: math.MaxInt64},
	{name: "repl-timeout", kind: numeric, initial: "60", low: 1, high: math.MaxInt32},
	{name: "repl-ping-replica-period", alias: "repl-ping-slave-period", kind: numeric, initial: "10", low: 1, high: math.MaxInt32},
	{name: "repl-diskless-sync", kind: yesOrNo, initial: "yes"},
	{name: "repl-diskless-sync-delay", kind: numeric, initial: "5", high: math.MaxInt32},
	{name: "repl-diskless-load", initial: "disabled"},
	{name: "replica-read-only", alias: "slave-read-only", kind: yesOrNo, initial: "yes"},
	{name: "replica-serve-stale-data", alias: "slave-serve-stale-data", kind: yesOrNo, initial: "yes"},
	{name: "replica-priority", alias: "slave-priority", kind: numeric, initial: "100", high: math.MaxInt32},
	{name: "replica-announced", kind: yesOrNo, initial: "yes"},
	{name: "replica-announce-ip", alias: "slave-announce-ip"},
	{name: "replica-announce-port", alias: "slave-announce-port", kind: numeric, initial: "0", high: 65535},
}

func findParameter(name string) *parameter {
	name = strings.ToLower(name)
	for _, param := range parameters {
		if param.name == name || param.alias != "" && param.alias == name {
			return param
		}
	}
	return nil
}

// parse gives a value as CONFIG GET tells it, or says what is wrong about it.
func (param *parameter) parse(value string) (canonical, wrong string) {
	switch param.kind {
	case yesOrNo:
		if !oneOf(value, "yes", "no") {
			return "", "argument must be 'yes' or 'no'"
		}
		return strings.ToLower(value), ""
	case anyText:
		return value, ""
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if param.kind == byteSize {
		if n, err = parseMemory(value); err != nil {
			return "", "argument must be a memory value"
		}
	} else if err != nil {
		return "", "argument couldn't be parsed into an integer"
	}
	if (n < param.low || n > param.high) && (param.low != 0 || param.high != 0) {
		return "", fmt.Sprintf("argument must be between %d and %d inclusive", param.low, param.high)
	}
	return strconv.FormatInt(n, 10), ""
}

// parseMemory reads "1mb" and the like.
func parseMemory(value string) (int64, error) {
	units := []struct {
		suffix string
		bytes  int64
	}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}}
	low := strings.ToLower(value)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(low, u.suffix); ok {
			n, err := strconv.ParseUint(digits, 10, 32)
			return int64(n) * u.bytes, err
		}
	}
	n, err := strconv.ParseUint(low, 10, 62)
	return int64(n), err
}

// settings are the parameters that decide often, understood.
type settings struct {
	password                      string
	minReplicas, maxLag           int64
	backlogSize, backlogTTL       int64
	replTimeout, pingPeriod       int64 // seconds, as Redis counts them
	syncDelay                     int64
	diskless                      bool
	readOnly, serveStale          bool
	appendOnly, syncAlways, saves bool
}

// value is a parameter's, whether it has been set or not.
func (p *process) value(name string) string {
	if v, ok := p.conf[name]; ok {
		return v
	}
	return findParameter(name).initial
}

// understand reads the settings after a change.
func (p *process) understand() {
	yes := func(name string) bool { return p.value(name) == "yes" }
	n := func(name string) int64 {
		n, _ := strconv.ParseInt(p.value(name), 10, 64) // it was checked when it was set
		return n
	}
	p.set = settings{
		password:    p.value("requirepass"),
		minReplicas: n("min-replicas-to-write"), maxLag: n("min-replicas-max-lag"),
		backlogSize: n("repl-backlog-size"), backlogTTL: n("repl-backlog-ttl"),
		replTimeout: n("repl-timeout"), pingPeriod: n("repl-ping-replica-period"),
		syncDelay: n("repl-diskless-sync-delay"), diskless: yes("repl-diskless-sync"),
		readOnly: yes("replica-read-only"), serveStale: yes("replica-serve-stale-data"),
		appendOnly: yes("appendonly"), syncAlways: p.value("appendfsync") == "always", saves: p.value("save") != "",
	}
}

// configure reads the configuration file.
func (p *process) configure() error {
	p.conf = map[string]string{"port": p.port()}
	for _, name := range slices.Sorted(maps.Keys(p.disk.conf)) {
		param := findParameter(name)
		if param == nil {
			return fmt.Errorf("the model knows no directive %q", name)
		}
		value, wrong := param.parse(p.disk.conf[name])
		if wrong != "" {
			return fmt.Errorf("%s %q: %s", name, p.disk.conf[name], wrong)
		}
		p.conf[param.name] = value
	}
	p.conf["save"], p.conf["appendonly"] = p.cfg.Persistence.directives()
	if words := strings.Fields(p.conf["replicaof"]); len(words) == 2 {
		p.masterHost, p.masterPort = words[0], words[1]
	}
	p.understand()
	return nil
}

func (p *process) configGet(c *client, args []string) {
	found := map[string]string{}
	for _, pattern := range args[2:] {
		if param := findParameter(pattern); param != nil {
			found[pattern] = p.told(param)
			continue
		}
		for _, param := range parameters {
			for _, name := range []string{param.name, param.alias} {
				if name != "" && matches(strings.ToLower(pattern), name) {
					found[name] = p.told(param)
				}
			}
		}
	}
	c.array(2 * len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		c.bulk(name)
		c.bulk(found[name])
	}
}

// told is a value as CONFIG GET and CONFIG REWRITE tell it.
func (p *process) told(param *parameter) string {
	if param.name != "replicaof" {
		return p.value(param.name)
	}
	if p.masterHost == "" {
		return ""
	}
	return p.masterHost + " " + p.masterPort
}

func (p *process) configSet(c *client, args []string) {
	if len(args)%2 != 0 {
		c.fail("ERR wrong number of arguments for 'config|set' command")
		return
	}
	changes := map[string]string{}
	for i := 2; i < len(args); i += 2 {
		param := findParameter(args[i])
		if param == nil {
			c.fail("ERR Unknown option or number of arguments for CONFIG SET - '" + args[i] + "'")
			return
		}
		value, wrong := param.parse(args[i+1])
		_, twice := changes[param.name]
		switch {
		case param.fixed:
			wrong = "can't set immutable config"
		case twice:
			wrong = "duplicate parameter"
		}
		if wrong != "" {
			c.fail("ERR CONFIG SET failed (possibly related to argument '" + args[i] + "') - " + wrong)
			return
		}
		changes[param.name] = value
	}
	maps.Copy(p.conf, changes)
	p.reconfigured()
	c.ok()
}

// reconfigured has changes take effect at once.
func (p *process) reconfigured() {
	was := p.set
	p.understand()
	if p.backlog != nil && was.backlogSize != p.set.backlogSize {
		p.backlog.resize(int(p.set.backlogSize))
	}
	if p.set.appendOnly != was.appendOnly {
		p.rewriteFile()
	}
	p.countGood()
}

// configRewrite writes the parameters down for the next start.
func (p *process) configRewrite(c *client, _ []string) {
	p.disk.conf = maps.Clone(p.conf)
	for _, param := range parameters {
		if told := p.told(param); told == param.initial {
			delete(p.disk.conf, param.name)
		} else {
			p.disk.conf[param.name] = told
		}
	}
	c.ok()
}

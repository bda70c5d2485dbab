package config

import (
	"maps"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// flagged lists the keys that have a flag: what differs between hosts that share a file, and what one changes
// to look closer.
var flagged = []struct{ key, flag, usage string }{
	{"agent.id", "agent-id", "id of this agent"},
	{"agent.zone", "zone", "zone of this agent"},
	{"agent.data-dir", "data-dir", "directory for what the agent must remember"},
	{"local", "local", "address of the Redis beside this agent"},
	{"listen.sentinel", "listen-sentinel", "where to listen for clients"},
	{"listen.peers", "listen-peers", "where to listen for other agents"},
	{"listen.http", "listen-http", "where to serve status, metrics, members and the map"},
	{"announce.host", "announce-host", "host that clients are told"},
	{"announce.sentinel-port", "announce-sentinel-port", "port that clients are told"},
	{"announce.hostnames", "announce-hostnames", "whether clients are told names or IP addresses"},
	{"log.level", "log-level", "debug, info, warn or error"},
	{"log.format", "log-format", "console or json"},
	{"config-rewrite", "config-rewrite", "none, or sentinel: keep sentinel.conf as Redis Sentinel does"},
}

// RegisterFlags makes the flags that Load knows. Flags win over the environment and the file.
func RegisterFlags(flags *pflag.FlagSet) {
	for _, f := range flagged {
		flags.String(f.flag, "", f.usage+" ("+f.key+")")
	}
	flags.String(peersFlag, "", "all agents of the cluster, as ID=HOST:PORT,ID=HOST:PORT,… (agents)")
}

// variable is the name of a key's environment variable.
func variable(key string) string {
	return "PICKET_" + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(key))
}

// overlay puts what flags and the environment say over what the file says.
func (r *report) overlay(tree map[string]any, flags *pflag.FlagSet) {
	r.overlayPeers(tree, flags)
	v := viper.New()
	changed := map[string]string{}
	for _, f := range flagged {
		if flags == nil || !flags.Changed(f.flag) {
			continue
		}
		_ = v.BindPFlag(f.key, flags.Lookup(f.flag)) // fails only without a flag
		changed[f.key] = "--" + f.flag
	}
	r.overlaySecrets(tree)
	scalars("", reflect.ValueOf(Default()), func(key string, old reflect.Value) {
		_ = v.BindEnv(key, variable(key)) // fails only without a key
		text, ok := v.Get(key).(string)
		if !ok || !put(tree, strings.Split(key, "."), parse(text, old)) {
			return
		}
		r.origins[key] = Place{File: variable(key)}
		if flag, ok := changed[key]; ok {
			r.origins[key] = Place{File: flag}
		}
	})
}

// overlaySecrets puts the secrets of the environment over those of what is in lists and has a name: PICKET_MASTERS_MYMASTER_PASSWORD. A file must not say the
// same: which of two passwords counts must be plain.
func (r *report) overlaySecrets(tree map[string]any) {
	visit := func(key string, list []any, secrets []string) {
		for i, e := range list {
			group, _ := e.(map[string]any)
			name, _ := group["name"].(string)
			for _, secret := range secrets {
				from := variable(below(below(key, name), secret))
				if text := os.Getenv(from); text != "" && name != "" {
					group[secret] = text
					r.origins[below(element(key, i), secret)] = Place{File: from}
				}
			}
		}
	}
	var walk func(key string, t reflect.Type, tree map[string]any)
	walk = func(key string, t reflect.Type, tree map[string]any) {
		for f := range fields(t) {
			name := kebab(f.Name)
			switch {
			case f.Type.Kind() == reflect.Struct:
				group, _ := tree[name].(map[string]any)
				walk(below(key, name), f.Type, group)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				list, _ := tree[name].([]any)
				visit(below(key, name), list, secretsOf(f.Type.Elem()))
			}
		}
	}
	walk("", reflect.TypeFor[Config](), tree)
}

// secretsOf lists the keys of a struct's secrets.
func secretsOf(t reflect.Type) []string {
	var keys []string
	for f := range fields(t) {
		if f.Type == reflect.TypeFor[Secret]() {
			keys = append(keys, kebab(f.Name))
		}
	}
	return keys
}

// The agents are the one list that need not stand in a file: all hosts say the same.
const (
	peersFlag     = "cluster-peers"
	peersVariable = "PICKET_CLUSTER_PEERS"
)

func (r *report) overlayPeers(tree map[string]any, flags *pflag.FlagSet) {
	text, from := os.Getenv(peersVariable), peersVariable
	if flags != nil && flags.Changed(peersFlag) {
		text, from = flags.Lookup(peersFlag).Value.String(), "--"+peersFlag
	}
	if text == "" {
		return
	}
	maps.DeleteFunc(r.lines, func(key string, _ int) bool { return within(key, "agents") })
	r.origins["agents"] = Place{File: from}
	agents := []any{}
	for peer := range strings.SplitSeq(text, ",") {
		id, address, ok := strings.Cut(strings.TrimSpace(peer), "=")
		if !ok {
			r.add("agents", text, "is not ID=HOST:PORT for each agent, with commas between them", "")
		}
		agents = append(agents, map[string]any{"id": id, "address": address})
	}
	tree["agents"] = agents
}

// parse gives a text as a file's parser would have, for a value of the type of old.
func parse(text string, old reflect.Value) any {
	switch old.Interface().(type) {
	case int:
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	case bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

// put sets a value in a tree. It fails where the file has something else than a group of keys: that is wrong
// anyway.
func put(tree map[string]any, path []string, value any) bool {
	if len(path) == 1 {
		tree[path[0]] = value
		return true
	}
	if tree[path[0]] == nil {
		tree[path[0]] = map[string]any{}
	}
	group, ok := tree[path[0]].(map[string]any)
	return ok && put(group, path[1:], value)
}

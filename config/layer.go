package config

import (
	"maps"
	"slices"

	"github.com/spf13/pflag"
)

// Layer is a configuration in another form than Load's, such as Redis Sentinel's. Its trees are like those of a YAML parser.
type Layer struct {
	File     string            // what Over was read from
	Over     map[string]any    // wins over the file
	Under    map[string]any    // counts where nothing else says anything
	Master   map[string]any    // the same, for each master
	Places   map[string]Place  // of the keys of Over
	Remedies map[string]string // for keys that are missing: how to give them
	Warnings []string          // of what is allowed but hardly meant
	Hosts    []string          // on which it listens; empty: on all
	Servers  []Addr            // that are watched, as far as they are known: one on this agent's host is the Redis beside it
	Fixed    string            // why File can't be rewritten; empty: it can
}

// Place is where a value comes from.
type Place struct {
	File string // or flag, or environment variable
	Line int    // 0: not known
}

// LoadLayer is Load with a layer around the file; the environment and flags win over both. An empty path means that there is no file.
// The layer has the say on which masters there are: the file adds to them, by their names, what the layer leaves open.
func LoadLayer(path string, layer Layer, flags *pflag.FlagSet) (*Config, error) {
	r, tree := newReport(layer.File), map[string]any{}
	if path != "" {
		r.file = path
		tree = r.read(path)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	r.layer = &layer
	tree = r.wrap(tree, layer)
	return r.load(tree, flags)
}

// wrap merges a file's tree with a layer.
func (r *report) wrap(tree map[string]any, layer Layer) map[string]any {
	file := maps.Clone(tree)
	masters := r.adopt(file["masters"], layer)
	delete(file, "masters")
	maps.DeleteFunc(r.lines, func(key string, _ int) bool { return within(key, "masters") }) // they are numbered otherwise now
	maps.Copy(r.origins, layer.Places)
	merged := merge(merge(layer.Under, file), layer.Over)
	merged["masters"] = masters
	return merged
}

// adopt gives the layer's masters what the file says of those with their names.
func (r *report) adopt(file any, layer Layer) []any {
	own, _ := layer.Over["masters"].([]any)
	lower := make([]map[string]any, len(own))
	masters, _ := file.([]any)
	for i, m := range masters {
		from := element("masters", i)
		group, _ := m.(map[string]any)
		at := slices.IndexFunc(own, func(m any) bool { return group["name"] == m.(map[string]any)["name"] })
		if at < 0 {
			r.add(from, nil, "is not among the masters of "+layer.File, "give it the name of one of them, or take it away")
			continue
		}
		lower[at] = group
		for key := range group {
			r.origins[below(element("masters", at), key)] = r.place(below(from, key))
		}
	}
	merged := make([]any, len(own))
	for i, m := range own {
		merged[i] = merge(merge(layer.Master, lower[i]), m.(map[string]any))
	}
	return merged
}

// merge puts a tree over another. Lists are not merged: the upper one counts.
func merge(under, over map[string]any) map[string]any {
	merged := maps.Clone(under)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range over {
		lower, ok := merged[key].(map[string]any)
		upper, both := value.(map[string]any)
		if ok && both {
			value = merge(lower, upper)
		}
		merged[key] = value
	}
	return merged
}

// complete fills in what follows from a layer, where nothing else says it.
func (c *Config) complete(layer *Layer, set map[string]bool) {
	c.warnings = append(c.warnings, layer.Warnings...)
	if len(c.Masters) == 0 {
		c.warnings = append(c.warnings, "masters: there is nothing to watch until SENTINEL MONITOR makes a master known")
	}
	if c.ConfigRewrite == RewriteSentinel && c.Mode == ModeActive { // else those who act write it
		c.sentinelConf = layer.File
	}
	at := slices.IndexFunc(c.Agents, func(p Peer) bool { return p.ID == c.Agent.ID })
	if at < 0 {
		return // which is reported
	}
	me := c.Agents[at].Address
	if !set["listen.peers"] && me.Port() != 0 {
		c.Listen.Peers = NewAddr("0.0.0.0", me.Port())
		if slices.Contains(layer.Hosts, me.Host()) {
			c.Listen.Peers = me // who listens for clients on some addresses only does so for agents
		}
	}
	if beside := beside(me.Host(), layer.Servers); !set["local"] && beside != "" {
		c.Local = beside
	} else if !set["local"] {
		c.warnings = append(c.warnings, "local: it is not known which Redis is beside this agent, so a master here is not fenced when it is cut off; "+
			"set PICKET_LOCAL=127.0.0.1:6379 in its environment, or --local, if there is one")
	}
}

// beside finds the one server on a host; empty: there is none, or more than one.
func beside(host string, servers []Addr) Addr {
	found := Addr("")
	for _, s := range servers {
		switch s, err := parseAddr(string(s)); {
		case err != nil || s.Host() != host || s == found:
		case found != "":
			return ""
		default:
			found = s
		}
	}
	return found
}

// SentinelConf is the file of Redis Sentinel's that this agent keeps as Sentinel would; empty: none.
func (c *Config) SentinelConf() string { return c.sentinelConf }

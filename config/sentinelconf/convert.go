package sentinelconf

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/config"
)

// Options of an import.
type Options struct {
	Cluster string                 // its name
	Dir     func(id string) string // where an agent's files are, on its host
	Inline  bool                   // secrets stand in the configuration, not in files of their own
	Shadow  bool                   // the agents only watch at first, on other ports than the Sentinels'
	Hosts   map[string]string      // of a file's Sentinel, where the file does not say it

	texts map[string][]byte // of files that are not on disk
}

// Import is what the files of a Sentinel group become.
type Import struct {
	Agents []Imported
	Notes  []config.Problem // what has no counterpart, and what the files disagree on
}

// Imported is one agent's part.
type Imported struct {
	ID      string
	Source  string // the sentinel.conf
	Config  []byte // picket.yaml
	Secrets []Secret
}

// Secret is a file that holds nothing else.
type Secret struct {
	Name string // below the agent's directory
	Text string
}

// Ports are so much above the Sentinel's: those for clients while that still has its own, and those of agents that share a host.
const (
	shadowAbove     = 10_000
	sharedPeerAbove = 11_000
	sharedHTTPAbove = 12_000
)

// Convert makes configurations of the files of one Sentinel group. If anything in them is wrong, the error is a *config.Error.
func Convert(files []string, o Options) (*Import, error) {
	c := &converter{options: o, names: map[string]string{}}
	var problems []config.Problem
	for _, file := range files {
		whole, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		text, ok := o.texts[file]
		if !ok {
			if text, err = contents(whole); err != nil {
				problems = append(problems, config.Problem{File: file, Message: "can't be read: " + err.Error(), Remedy: "name a file that this user may read"})
				continue
			}
		}
		b := build(Source{File: file, Dir: filepath.Dir(whole), Contents: text}, true)
		problems = append(problems, b.problems...)
		c.files = append(c.files, &sentinelFile{builder: b, name: file, port: cmp.Or(b.listen.port, b.listen.tlsPort)})
	}
	if len(problems) == 0 {
		problems = c.place()
	}
	if len(problems) > 0 {
		return nil, &config.Error{Problems: problems}
	}
	c.unite()
	result := &Import{}
	for _, f := range c.files {
		result.Agents = append(result.Agents, c.agent(f))
		result.Notes = append(result.Notes, f.notices...)
	}
	result.Notes = append(result.Notes, c.notes...)
	return result, nil
}

// contents reads a file, or as much of it as is refused for being too large. Relative paths in it begin beside it: where Sentinel was started is not known.
func contents(path string) ([]byte, error) {
	file, err := os.Open(path)
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	return append([]byte{}, text...), err
}

// converter makes one group of several files.
type converter struct {
	options Options
	files   []*sentinelFile
	absent  []absentee
	masters []string
	names   map[string]string // id of the agent in the place of a Sentinel, by its address
	notes   []config.Problem
}

// absentee is a Sentinel of which there is no file.
type absentee struct {
	peer
	agent config.Addr // of the port for the other agents, of the one in its place
}

// sentinelFile is one of them.
type sentinelFile struct {
	*builder
	name string
	host string
	port int
	id   string      // of the agent
	peer config.Addr // of its port for the other agents
}

// note tells something that concerns no single line.
func (c *converter) note(file, message, remedy string) {
	c.notes = append(c.notes, config.Problem{File: file, Message: message, Remedy: remedy})
}

// place finds out on which host each Sentinel is, which others there are, and names the agents.
func (c *converter) place() (problems []config.Problem) {
	for _, f := range c.files {
		if f.host = c.hostOf(f); f.host == "" {
			problems = append(problems, config.Problem{File: f.name, Message: "does not say at which address its host is reached",
				Remedy: fmt.Sprintf("say it with --host %s=ADDRESS, or give the files of the other Sentinels, too, which know it", f.name)})
		}
	}
	taken := map[string]string{}
	for _, f := range c.files {
		at := string(config.NewAddr(f.host, f.port))
		if other, ok := taken[at]; ok && f.host != "" {
			problems = append(problems, config.Problem{File: f.name, Message: fmt.Sprintf("is of a Sentinel at %s, as %s is", at, other), Remedy: "give each Sentinel's file once"})
		}
		taken[at] = f.name
	}
	if len(problems) > 0 {
		return problems
	}
	for _, f := range c.files {
		for _, p := range f.peers {
			mine := slices.ContainsFunc(c.files, func(g *sentinelFile) bool {
				return g.host == p.host && g.port == p.port || p.id != "" && g.myID == p.id
			})
			known := slices.ContainsFunc(c.absent, func(q absentee) bool { return q.host == p.host && q.port == p.port })
			if !mine && !known {
				c.absent = append(c.absent, absentee{peer: p})
			}
		}
	}
	c.name()
	return nil
}

// hostOf is the address of a Sentinel's host: as the operator says, as it announces itself, as the others know it, or where it listens.
func (c *converter) hostOf(f *sentinelFile) string {
	if host := c.options.Hosts[f.name]; host != "" {
		return host
	}
	if host, ok := f.announced(); ok {
		return host
	}
	for _, g := range c.files {
		for _, p := range g.peers {
			if p.id != "" && p.id == f.myID {
				return p.host
			}
		}
	}
	for _, host := range f.listen.hosts {
		host = strings.TrimPrefix(host, "-")
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() && !ip.IsLoopback() {
			return host
		}
	}
	onlyHere := func(a config.Addr) bool { return !a.Loopback() }
	if servers := f.conf.Layer.Servers; len(servers) > 0 && !slices.ContainsFunc(servers, onlyHere) {
		return servers[0].Host() // a group of one host, to try it
	}
	return ""
}

// name names the agents after their hosts, and gives each a port for the others.
func (c *converter) name() {
	var all []peer
	for _, p := range c.absent {
		all = append(all, p.peer)
	}
	for _, f := range c.files {
		all = append(all, peer{host: f.host, port: f.port})
	}
	hosts := map[string]int{}
	for _, p := range all {
		hosts[p.host]++
	}
	for _, p := range all {
		id, port := strings.ReplaceAll(p.host, ":", "-"), peersPort
		if hosts[p.host] > 1 {
			id = fmt.Sprintf("%s-%d", id, p.port)
		}
		if hosts[p.host] > 1 || p.port == peersPort || p.port+httpAbove == peersPort {
			port = (p.port + sharedPeerAbove) % (1 << 16)
		}
		c.names[string(config.NewAddr(p.host, p.port))] = id
		for _, f := range c.files {
			if f.host == p.host && f.port == p.port {
				f.id, f.peer = id, config.NewAddr(p.host, port)
			}
		}
		for i, q := range c.absent {
			if q.host == p.host && q.port == p.port {
				c.absent[i].agent = config.NewAddr(p.host, port)
				c.note(c.files[0].name, fmt.Sprintf("knows a Sentinel at %s whose file was not given: an agent %s is expected there", config.NewAddr(p.host, p.port), id),
					"give its file, too; or take that agent out of `agents` everywhere, if it is gone")
			}
		}
	}
}

// shared are the settings that all agents have of a master alike. The others may differ from host to host.
var shared = []string{"quorum", "down-after", "failover-timeout", "parallel-syncs", "reboot-down-after", "rename-commands"}

// unite gives all files the same masters.
func (c *converter) unite() {
	for _, f := range c.files {
		for _, m := range f.masters {
			if !slices.Contains(c.masters, m.name) {
				c.masters = append(c.masters, m.name)
			}
		}
	}
	for _, name := range c.masters {
		c.uniteMaster(name)
	}
}

// uniteMaster settles what the files say of one master: the address of the newest epoch, and else what the first of them says.
func (c *converter) uniteMaster(name string) {
	var first *sentinelFile
	var newest *master
	known := []any{}
	for _, f := range c.files {
		m := f.master(name)
		if m == nil {
			continue
		}
		if first == nil {
			first, newest = f, m
		}
		if m.epoch > newest.epoch {
			newest = m
		}
		for key, value := range f.conf.Layer.Master {
			if _, ok := m.tree[key]; !ok {
				m.tree[key] = value
			}
		}
		replicas, _ := m.tree["known-replicas"].([]any)
		for _, r := range replicas {
			if !slices.Contains(known, r) {
				known = append(known, r)
			}
		}
	}
	for _, f := range c.files {
		m := f.master(name)
		if m == nil {
			c.note(f.name, fmt.Sprintf("does not watch %s, as %s does: its agent does, with what is said there", name, first.name), "")
			copied := *first.master(name)
			copied.tree = maps.Clone(copied.tree)
			f.builder.masters = append(f.builder.masters, &copied)
			m = &copied
		}
		if m.tree["address"] != newest.tree["address"] {
			if old := m.tree["address"]; !slices.Contains(known, old) {
				known = append(known, old)
			}
			c.differ(f, m, "address", fmt.Sprintf("is %v, where %s has it at %v since epoch %d, which is newer", m.tree["address"], newest.at.File, newest.tree["address"], newest.epoch))
			m.tree["address"] = newest.tree["address"]
		}
		model := first.master(name)
		for _, key := range shared {
			if fmt.Sprint(m.tree[key]) == fmt.Sprint(model.tree[key]) {
				continue
			}
			what := fmt.Sprintf("is %s, where %s has %s, which is taken: all agents need the same", said(key, m.tree[key]), first.name, said(key, model.tree[key]))
			c.differ(f, m, key, what)
			delete(m.tree, key)
			if value, ok := model.tree[key]; ok {
				m.tree[key] = value
			}
		}
	}
	slices.SortFunc(known, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	known = slices.DeleteFunc(known, func(a any) bool { return a == newest.tree["address"] })
	for _, f := range c.files {
		if m := f.master(name); len(known) > 0 {
			m.tree["known-replicas"] = known
		} else {
			delete(m.tree, "known-replicas")
		}
	}
}

// said shows a value; what commands are renamed to is often a secret.
func said(key string, value any) string {
	switch {
	case value == nil:
		return "the default"
	case key == "rename-commands":
		return "another list"
	}
	return fmt.Sprint(value)
}

// differ tells what a file says of a master otherwise than another one.
func (c *converter) differ(f *sentinelFile, m *master, key, what string) {
	at, ok := f.conf.Layer.Places[fmt.Sprintf("masters[%d].%s", slices.Index(f.masters, m), key)]
	if !ok {
		at = m.at
	}
	c.notes = append(c.notes, config.Problem{File: f.name, Line: at.Line, Key: m.name + " " + key, Message: what,
		Remedy: "change it in all files if another value is meant"})
}

// agent makes one agent's configuration.
func (c *converter) agent(f *sentinelFile) Imported {
	made := Imported{ID: f.id, Source: f.name}
	tree := mergeTrees(f.conf.Layer.Under, f.conf.Layer.Over)
	tree["cluster"] = c.options.Cluster
	put(tree, "agent.id", f.id)
	if put(tree, "agent.data-dir", config.Default().Agent.DataDir); c.shares(f) {
		put(tree, "agent.data-dir", filepath.Join(config.Default().Agent.DataDir, f.id))
		put(tree, "listen.http", string(config.NewAddr("127.0.0.1", (f.port+sharedHTTPAbove)%(1<<16))))
	}
	tree["agents"] = c.agents()
	put(tree, "listen.peers", string(c.peersListen(f)))
	masters := make([]any, len(c.masters))
	for i, name := range c.masters {
		masters[i] = maps.Clone(f.master(name).tree)
	}
	tree["masters"] = masters
	if local := c.local(f); local != "" {
		tree["local"] = string(local)
	}
	if c.options.Shadow {
		c.inShadow(f, tree)
	}
	c.hide(f, tree, &made)
	made.Config = config.Encode(tree, "Made by picket config import of "+f.name+"; picket config example explains every key.")
	return made
}

// shares says whether a Sentinel's host has others.
func (c *converter) shares(f *sentinelFile) bool {
	return slices.ContainsFunc(c.files, func(g *sentinelFile) bool { return g != f && g.host == f.host })
}

// agents lists them all.
func (c *converter) agents() []any {
	var list []any
	for _, f := range c.files {
		list = append(list, map[string]any{"id": f.id, "address": string(f.peer)})
	}
	for _, p := range c.absent {
		list = append(list, map[string]any{"id": c.names[string(config.NewAddr(p.host, p.port))], "address": string(p.agent)})
	}
	return list
}

// peersListen is where an agent listens for others: on all addresses, or on its own where Sentinel did so.
func (c *converter) peersListen(f *sentinelFile) config.Addr {
	if slices.Contains(f.conf.Layer.Hosts, f.host) {
		return f.peer
	}
	return config.NewAddr("0.0.0.0", f.peer.Port())
}

// local finds the Redis beside an agent: the one server on its host.
func (c *converter) local(f *sentinelFile) config.Addr {
	var found []config.Addr
	for _, name := range c.masters {
		m := f.master(name)
		replicas, _ := m.tree["known-replicas"].([]any)
		for _, a := range append([]any{m.tree["address"]}, replicas...) {
			if addr := config.Addr(a.(string)); addr.Host() == f.host && !slices.Contains(found, addr) {
				found = append(found, addr)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) == 0:
		c.note(f.name, fmt.Sprintf("no Redis is known on %s: its agent is a witness, which guards none", f.host), "set local: 127.0.0.1:6379, or where it listens, if there is one")
	default:
		c.note(f.name, fmt.Sprintf("several Redis are known on %s: an agent guards one", f.host), "set local in each agent's file, and run an agent for each Redis that is to be guarded")
	}
	return ""
}

// inShadow has the agent watch only, and leaves the Sentinel its port.
func (c *converter) inShadow(f *sentinelFile, tree map[string]any) {
	tree["mode"] = config.ModeShadow
	listen, _ := tree["listen"].(map[string]any)
	for _, key := range []string{"sentinel", "sentinel-tls"} {
		addr, _ := listen[key].(string)
		if key == "sentinel" && listen[key] == nil {
			addr = string(config.NewAddr("0.0.0.0", defaultPort))
		}
		if addr != "" {
			put(tree, "listen."+key, string(config.NewAddr(config.Addr(addr).Host(), (config.Addr(addr).Port()+shadowAbove)%(1<<16))))
		}
	}
	if announce, ok := tree["announce"].(map[string]any); ok {
		delete(announce, "sentinel-port")
	}
}

// hide takes the secrets out of a configuration, or hashes them, unless they are wanted in it.
func (c *converter) hide(f *sentinelFile, tree map[string]any, made *Imported) {
	dir := ""
	if c.options.Dir != nil {
		dir = c.options.Dir(f.id)
	}
	away := func(group map[string]any, name string) {
		text, _ := group["password"].(string)
		switch {
		case text == "":
			delete(group, "password")
		case !c.options.Inline:
			delete(group, "password")
			group["password-file"] = filepath.Join(dir, name)
			made.Secrets = append(made.Secrets, Secret{name, text})
		}
	}
	if door, ok := tree["sentinel"].(map[string]any); ok {
		away(door, "sentinel.password")
		if users, ok := door["users"].([]any); ok {
			for i, line := range users {
				users[i] = hashed(line.(string))
			}
		}
	}
	for i, m := range tree["masters"].([]any) {
		name := fmt.Sprintf("%s.password", m.(map[string]any)["name"])
		if !config.ValidName(name) {
			name = fmt.Sprintf("master-%d.password", i)
		}
		away(m.(map[string]any), name)
	}
}

// hashed writes a user's passwords as Redis does when it saves them.
func hashed(line string) string {
	words := strings.Fields(line)
	for i, w := range words {
		for plain, sum := range map[string]string{">": "#", "<": "!"} {
			if text, ok := strings.CutPrefix(w, plain); ok && i > 0 {
				of := sha256.Sum256([]byte(text))
				words[i] = sum + hex.EncodeToString(of[:])
			}
		}
	}
	return strings.Join(words, " ")
}

// mergeTrees puts a tree over another.
func mergeTrees(under, over map[string]any) map[string]any {
	merged := map[string]any{}
	for _, tree := range []map[string]any{under, over} {
		for key, value := range tree {
			group, ok := value.(map[string]any)
			if lower, both := merged[key].(map[string]any); ok && both {
				value = mergeTrees(lower, group)
			} else if ok {
				value = mergeTrees(nil, group)
			}
			merged[key] = value
		}
	}
	return merged
}

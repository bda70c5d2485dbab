package resp

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"picket/config"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// debugParameters are those of SENTINEL DEBUG, in milliseconds, in their order. Two have a meaning here: the defaults of masters that are made known
// from then on through this port. The others are kept and told, for the sake of tools that set them: nothing here waits for such a period.
var debugParameters = []struct {
	name   string
	millis int64
}{
	{"INFO-PERIOD", 10000}, {"PING-PERIOD", 1000}, {"ASK-PERIOD", 1000}, {"PUBLISH-PERIOD", 2000},
	{"DEFAULT-DOWN-AFTER", 30000}, {"DEFAULT-FAILOVER-TIMEOUT", 180000}, {"TILT-TRIGGER", 2000}, {"TILT-PERIOD", 30000},
	{"SLAVE-RECONF-TIMEOUT", 10000}, {"MIN-LINK-RECONNECT-PERIOD", 15000}, {"ELECTION-TIMEOUT", 10000},
	{"SCRIPT-MAX-RUNTIME", 60000}, {"SCRIPT-RETRY-DELAY", 30000},
}

// debugging is what SENTINEL DEBUG has set, until the process ends.
type debugging struct {
	mu  sync.Mutex
	set map[string]int64 // by name, in upper case
}

func (d *debugging) value(name string, initial int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, set := d.set[name]; set {
		return n
	}
	return initial
}

func (d *debugging) put(name string, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil {
		d.set = map[string]int64{}
	}
	d.set[name] = n
}

// defaults are options for a master that is made known.
func (d *debugging) defaults() []state.Option {
	d.mu.Lock()
	defer d.mu.Unlock()
	var options []state.Option
	for name, option := range map[string]string{
		"DEFAULT-DOWN-AFTER": config.OptionDownAfter, "DEFAULT-FAILOVER-TIMEOUT": config.OptionFailoverTimeout,
	} {
		if n, set := d.set[name]; set {
			options = append(options, state.Option{Name: option, Value: strconv.FormatInt(n, 10)})
		}
	}
	return options
}

func debug(_ context.Context, c *client, args []string) {
	if len(args) == 2 {
		var all fields
		for _, p := range debugParameters {
			all.number(p.name, c.server.debug.value(p.name, p.millis))
		}
		c.reply.fields(all)
		return
	}
	for words := args[2:]; len(words) > 0; words = words[2:] {
		name := strings.ToUpper(words[0])
		if !knownDebug(name) || len(words) == 1 {
			c.reply.error(fmt.Sprintf("ERR Unknown option or number of arguments for SENTINEL DEBUG '%s'", words[0]))
			return
		}
		n, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil || n <= 0 {
			c.reply.error(fmt.Sprintf("ERR Invalid argument '%s' for SENTINEL DEBUG '%s'", words[1], words[0]))
			return
		}
		c.server.debug.put(name, n)
	}
	c.reply.ok()
}

func knownDebug(name string) bool {
	for _, p := range debugParameters {
		if p.name == name {
			return true
		}
	}
	return false
}

// simulateFailure replaces what was asked for before.
func simulateFailure(_ context.Context, c *client, args []string) {
	const election, promotion = "crash-after-election", "crash-after-promotion"
	var afterElection, afterPromotion bool
	for _, word := range args[2:] {
		switch strings.ToLower(word) {
		case election:
			afterElection = true
		case promotion:
			afterPromotion = true
		case "help":
			c.reply.bulks([]string{election, promotion})
			return
		default:
			c.reply.error("ERR Unknown failure simulation specified")
			return
		}
	}
	c.server.cfg.Backend.Simulate(afterElection, afterPromotion)
	c.reply.ok()
}

// maxInfoCache bounds what one SENTINEL INFO-CACHE is answered, in bytes: some hundreds of servers.
const maxInfoCache = 4 << 20

// infoCache tells what the servers of masters said last, of each master once.
func infoCache(_ context.Context, c *client, args []string) {
	p := c.server.cfg.Backend.Picture()
	var found []*picture.Master
	size := 0
	for _, name := range args[2:] {
		m := masterOf(&p, name)
		if m == nil || slices.Contains(found, m) {
			continue
		}
		found = append(found, m)
		if size += sizeOfInfo(m); size > maxInfoCache {
			c.reply.error(fmt.Sprintf("ERR the answer would be larger than %d MiB: ask for fewer masters at once", maxInfoCache>>20))
			return
		}
	}
	c.reply.array(2 * len(found))
	for _, m := range found {
		c.reply.bulk(m.Name)
		c.reply.array(1 + len(m.Replicas))
		c.reply.cached(p.At, &m.Server)
		for i := range m.Replicas {
			c.reply.cached(p.At, &m.Replicas[i])
		}
	}
}

// sizeOfInfo is how many bytes the servers of a master said last.
func sizeOfInfo(m *picture.Master) int {
	size := 0
	for _, s := range append([]picture.Server{m.Server}, m.Replicas...) {
		if s.Last != nil {
			size += len(s.Last.Text)
		}
	}
	return size
}

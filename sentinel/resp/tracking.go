package resp

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// tracking is what a client has said of its cache. Nothing ever comes of it: there are no keys that could change.
type tracking struct {
	on, bcast, optIn, optOut, noLoop bool
	caching                          bool // CLIENT CACHING was the last command, but for others of CLIENT
	redirect                         int64
	prefixes                         []string // sorted
}

// maxPrefixes bounds those of one client, in bytes with prefixCost for each.
const (
	maxPrefixes = 4 << 10
	prefixCost  = 32
)

// after ends what CLIENT CACHING has said for one command.
func (t *tracking) after(d *command) {
	if !strings.HasPrefix(d.full, "client|") {
		t.caching = false
	}
}

// flags are those of CLIENT TRACKINGINFO.
func (t *tracking) flags() []string {
	if !t.on {
		return []string{"off"}
	}
	f := flags{"on"}
	f.add("bcast", t.bcast)
	f.add("optin", t.optIn)
	f.add("caching-yes", t.optIn && t.caching)
	f.add("optout", t.optOut)
	f.add("caching-no", t.optOut && t.caching)
	f.add("noloop", t.noLoop)
	return f
}

// target is where notices would go: 0 is this connection, -1 nowhere.
func (t *tracking) target() int64 {
	if !t.on {
		return -1
	}
	return t.redirect
}

func trackingInfo(_ context.Context, c *client, _ []string) {
	c.reply.mapping(3)
	c.reply.bulk("flags")
	c.reply.bulkSet(c.tracking.flags())
	c.reply.bulk("redirect")
	c.reply.integer(c.tracking.target())
	c.reply.bulk("prefixes")
	c.reply.bulks(c.tracking.prefixes)
}

func redirection(_ context.Context, c *client, _ []string) { c.reply.integer(c.tracking.target()) }

func caching(_ context.Context, c *client, args []string) {
	t := &c.tracking
	switch word := strings.ToLower(args[2]); {
	case !t.on:
		c.reply.error("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case word == "yes" && !t.optIn:
		c.reply.error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case word == "no" && !t.optOut:
		c.reply.error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	case word != "yes" && word != "no":
		c.reply.error(syntaxError)
	default:
		t.caching = true
		c.reply.ok()
	}
}

func track(_ context.Context, c *client, args []string) {
	wanted, problem := c.trackingOptions(args[3:])
	word := strings.ToLower(args[2])
	if problem == "" && word == "on" {
		problem = wanted.conflict(&c.tracking)
	}
	switch {
	case problem != "":
		c.reply.error(problem)
		return
	case word == "on":
		wanted.on = true
		wanted.prefixes = joined(c.tracking.prefixes, wanted)
	case word == "off":
		wanted = tracking{}
	default:
		c.reply.error(syntaxError)
		return
	}
	c.tracking = wanted
	c.update(func(p *profile) { p.tracking, p.redirect = wanted.on, wanted.target() })
	c.reply.ok()
}

// trackingOptions reads what CLIENT TRACKING is given; the problem is the answer.
func (c *client) trackingOptions(words []string) (t tracking, problem string) {
	for i := 0; i < len(words); i++ {
		more := i+1 < len(words)
		switch word := strings.ToLower(words[i]); {
		case word == "redirect" && more:
			i++
			id, ok := integer(words[i])
			switch {
			case t.redirect != 0:
				return t, "ERR A client can only redirect to a single other client"
			case !ok:
				return t, notInteger
			case c.server.client(id) == nil:
				return t, "ERR The client ID you want redirect to does not exist"
			}
			t.redirect = id
		case word == "prefix" && more:
			i++
			t.prefixes = append(t.prefixes, words[i])
		case word == "bcast":
			t.bcast = true
		case word == "optin":
			t.optIn = true
		case word == "optout":
			t.optOut = true
		case word == "noloop":
			t.noLoop = true
		default:
			return t, syntaxError
		}
	}
	return t, ""
}

// conflict says why this can't follow what there is.
func (t *tracking) conflict(now *tracking) string {
	switch {
	case !t.bcast && len(t.prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case now.on && now.bcast != t.bcast:
		return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	case t.bcast && (t.optIn || t.optOut):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case t.optIn && t.optOut:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	case t.optIn && now.optOut || t.optOut && now.optIn:
		return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	case cost(now.prefixes)+cost(t.prefixes) > maxPrefixes:
		return "ERR too many prefixes on this connection"
	}
	for i, prefix := range t.prefixes {
		if other, found := overlapping(prefix, now.prefixes); found {
			return fmt.Sprintf("ERR Prefix '%s' overlaps with an existing prefix '%s'. Prefixes for a single client must not overlap.", prefix, other)
		}
		if other, found := overlapping(prefix, t.prefixes[i+1:]); found {
			return fmt.Sprintf("ERR Prefix '%s' overlaps with another provided prefix '%s'. Prefixes for a single client must not overlap.", prefix, other)
		}
	}
	return ""
}

func cost(prefixes []string) int {
	sum := 0
	for _, prefix := range prefixes {
		sum += prefixCost + len(prefix)
	}
	return sum
}

func overlapping(prefix string, others []string) (string, bool) {
	for _, other := range others {
		if strings.HasPrefix(prefix, other) || strings.HasPrefix(other, prefix) {
			return other, true
		}
	}
	return "", false
}

// joined adds prefixes to those that there are. A broadcast without any is of all keys: its prefix is empty.
func joined(old []string, t tracking) []string {
	if !t.bcast {
		return nil
	}
	added := t.prefixes
	if len(added) == 0 {
		added = []string{""}
	}
	all := slices.Concat(old, added)
	slices.Sort(all)
	return slices.Compact(all)
}

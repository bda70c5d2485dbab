package resp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/config"
	"picket/sentinel/picture"
	"picket/sentinel/resp/glob"
	"picket/sentinel/state"
)

// Registry is what the agent lets clients change.
type Registry interface {
	// Monitor has a master watched by all agents. The same again changes nothing.
	Monitor(ctx context.Context, name string, addr config.Addr, quorum int) error
	// Resolves says whether a host is an IP address, or a name that has one.
	Resolves(ctx context.Context, host string) bool
	// Remove has a master forgotten by all agents.
	Remove(ctx context.Context, name string) error
	// Set changes settings of a master, all of them or none. A *picture.OptionError says which one is wrong.
	Set(ctx context.Context, master string, options []state.Option) error
	// Reset forgets what is gone.
	Reset(ctx context.Context, master string) error
	// Parameters of the agent itself that were set, by name; SetParameters sets some, all or none.
	Parameters() map[string]string
	SetParameters(ctx context.Context, parameters map[string]string) error
	// Simulate has the process end at the next failover that it leads, for tests.
	Simulate(afterElection, afterPromotion bool)
}

// registryCommands are the subcommands of SENTINEL that change something.
func registryCommands() []*command {
	const name = "<master-name>"
	return []*command{
		{name: "config", arity: -4, run: configure, usage: "<GET <pattern> [<pattern> ...] | SET <param> <value> [<param> <value> ...]>",
			summary: "Get or set parameters of this agent."},
		{name: "flushconfig", arity: 2, run: flush, summary: "Nothing is left to do: what was set is on the disk before that is answered."},
		{name: "monitor", arity: 6, run: monitorMaster, usage: "<name> <ip> <port> <quorum>", summary: "Have all agents watch a master."},
		{name: "remove", arity: 3, run: removeMaster, usage: name, summary: "Have all agents forget a master."},
		{name: "reset", arity: 3, run: resetMasters, usage: "<pattern>", summary: "Forget replicas that are gone, of the masters that match."},
		{name: "set", arity: -5, run: setOptions, usage: name + " <option> <value> [<option> <value> ...]", summary: "Change settings of a master."},
	}
}

// refuse tells a client why a change was refused.
func (c *client) refuse(err error) {
	var option *picture.OptionError
	switch {
	case errors.Is(err, picture.ErrUnknownMaster):
		c.reply.error(noSuchMaster)
	case errors.Is(err, picture.ErrDuplicate):
		c.reply.error("ERR Duplicate master name.")
	case errors.Is(err, picture.ErrInProgress):
		c.reply.error("INPROG Failover already in progress")
	case errors.Is(err, picture.ErrNoReplica):
		c.reply.error("NOGOODSLAVE No suitable replica to promote")
	case errors.Is(err, picture.ErrNoMajority):
		c.reply.error("NOQUORUM " + err.Error())
	case errors.As(err, &option):
		c.reply.error(optionError(option))
	default:
		c.reply.error("ERR " + err.Error())
	}
}

// done answers a change.
func (c *client) done(err error) {
	if err != nil {
		c.refuse(err)
		return
	}
	c.reply.ok()
}

func optionError(e *picture.OptionError) string {
	name, _, _ := strings.Cut(e.Option, " ")
	switch {
	case errors.Is(e, config.ErrUnknownOption):
		return fmt.Sprintf("ERR Unknown option or number of arguments for SENTINEL SET '%s'", name)
	case errors.Is(e, picture.ErrNotText):
		return "ERR " + e.Error()
	case errors.Is(e, picture.ErrScriptsDenied):
		return "ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration"
	case errors.Is(e, config.ErrNoScript) && name == config.OptionNotification:
		return "ERR Notification script seems non existing or non executable"
	case errors.Is(e, config.ErrNoScript):
		return "ERR Client reconfiguration script seems non existing or non executable"
	}
	return fmt.Sprintf("ERR Invalid argument '%s' for SENTINEL SET '%s'", e.Value, name)
}

// monitorMaster checks in Sentinel's order.
func monitorMaster(ctx context.Context, c *client, args []string) {
	quorum, err := strconv.ParseInt(args[5], 10, 32)
	if err != nil {
		c.reply.error("ERR Invalid quorum")
		return
	}
	port, err := strconv.ParseInt(args[4], 10, 32)
	switch {
	case err != nil:
		c.reply.error("ERR Invalid port")
	case quorum < 1:
		c.reply.error("ERR Quorum must be 1 or greater.")
	case !validHost(ctx, c, args[3]):
		c.reply.error("ERR Invalid IP address or hostname specified")
	case masterNamed(c, args[2]) == nil && (port < 1 || port > 65535):
		c.reply.error("ERR Invalid port number.")
	case !config.ValidName(args[2]):
		c.reply.error("ERR Invalid master name: use up to 100 letters, digits, dots, dashes and underscores")
	default:
		c.done(c.server.monitor(ctx, args[2], config.NewAddr(canonical(args[3]), int(port)), int(quorum)))
	}
}

func masterNamed(c *client, name string) *picture.Master {
	p := c.server.cfg.Backend.Picture()
	return masterOf(&p, name)
}

// validHost says whether a server may be known under it: an IP address, or a name that has one.
func validHost(ctx context.Context, c *client, host string) bool {
	host, ok := config.CanonicalHost(host)
	return ok && c.server.cfg.Backend.Resolves(ctx, host)
}

// canonical is a host in its one spelling.
func canonical(host string) string {
	if canonical, ok := config.CanonicalHost(host); ok {
		return canonical
	}
	return host
}

// monitor makes a master known, with the defaults that SENTINEL DEBUG may have changed.
func (s *Server) monitor(ctx context.Context, name string, addr config.Addr, quorum int) error {
	if err := s.cfg.Backend.Monitor(ctx, name, addr, quorum); err != nil {
		return err
	}
	if defaults := s.debug.defaults(); len(defaults) > 0 {
		return s.cfg.Backend.Set(ctx, name, defaults)
	}
	return nil
}

func removeMaster(ctx context.Context, c *client, args []string) {
	c.done(c.server.cfg.Backend.Remove(ctx, args[2]))
}

// resetMasters says how many matched, also where the agents can't be asked: that is an error.
func resetMasters(ctx context.Context, c *client, args []string) {
	matched := int64(0)
	for _, m := range c.server.cfg.Backend.Picture().Masters {
		if !glob.Match(args[2], m.Name) {
			continue
		}
		if err := c.server.cfg.Backend.Reset(ctx, m.Name); err != nil {
			c.refuse(err)
			return
		}
		matched++
	}
	c.reply.integer(matched)
}

// flush has nothing to do.
func flush(_ context.Context, c *client, _ []string) { c.reply.ok() }

// setOptions sets all options, or none. Sentinel sets those before the first that is wrong.
func setOptions(ctx context.Context, c *client, args []string) {
	if masterNamed(c, args[2]) == nil {
		c.reply.error(noSuchMaster)
		return
	}
	var options []state.Option
	for words := args[3:]; len(words) > 0; {
		name, values := optionName(words[0]), 1
		if name == config.OptionRename {
			values = 2
		}
		if len(words) <= values {
			c.reply.error(fmt.Sprintf("ERR Unknown option or number of arguments for SENTINEL SET '%s'", words[0]))
			return
		}
		if values == 2 {
			name += " " + strings.ToUpper(words[1]) // the same in any spelling
		}
		options = append(options, state.Option{Name: name, Value: words[values]})
		words = words[values+1:]
	}
	c.done(c.server.cfg.Backend.Set(ctx, args[2], options))
}

// optionName is Redis's word for Valkey's.
func optionName(word string) string {
	name := strings.ToLower(word)
	return strings.Replace(name, "primary-reboot", "master-reboot", 1)
}

// parameters of SENTINEL CONFIG, in the order in which they are told, and what they may be.
var parameters = []struct {
	name    string
	initial string
	valid   func(string) bool
}{
	{"resolve-hostnames", "no", yesOrNo},
	{"announce-hostnames", "no", yesOrNo},
	{"announce-ip", "", anything},
	{"announce-port", "0", portOrZero},
	{"sentinel-user", "", anything},
	{"sentinel-pass", "", anything},
	{"loglevel", "notice", func(value string) bool {
		return slices.Contains([]string{"debug", "verbose", "notice", "warning", "nothing"}, value)
	}},
}

func yesOrNo(value string) bool { return value == "yes" || value == "no" }

func anything(string) bool { return true }

func portOrZero(value string) bool {
	n, err := strconv.ParseUint(value, 10, 16)
	return err == nil && n <= 65535
}

func configure(ctx context.Context, c *client, args []string) {
	switch strings.ToLower(args[2]) {
	case "get":
		c.showParameters(args[3:])
	case "set":
		c.setParameters(ctx, args[3:])
	default:
		c.reply.error("ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.")
	}
}

// showParameters tells those that match, each once.
func (c *client) showParameters(patterns []string) {
	known := c.server.cfg.Backend.Parameters()
	var found fields
	for _, pattern := range patterns {
		for _, p := range parameters {
			if !glob.Match(strings.ToLower(pattern), p.name) || slices.ContainsFunc(found, func(f field) bool { return f.name == p.name }) {
				continue
			}
			value, set := known[p.name]
			if !set {
				value = p.initial
			}
			found.text(p.name, value)
		}
	}
	c.reply.fields(found)
}

func (c *client) setParameters(ctx context.Context, words []string) {
	wanted := map[string]string{}
	for i := 0; i < len(words); i += 2 {
		name := strings.ToLower(words[i])
		at := slices.IndexFunc(parameters, func(p struct {
			name    string
			initial string
			valid   func(string) bool
		}) bool {
			return p.name == name
		})
		_, again := wanted[name]
		switch {
		case at < 0:
			c.reply.error(fmt.Sprintf("ERR Invalid argument '%s' to SENTINEL CONFIG SET", words[i]))
			return
		case again:
			c.reply.error(fmt.Sprintf("ERR Duplicate argument '%s' to SENTINEL CONFIG SET", words[i]))
			return
		case i+1 == len(words):
			c.reply.error(fmt.Sprintf("ERR Missing argument '%s' value", words[i]))
			return
		case !parameters[at].valid(words[i+1]):
			c.reply.error(fmt.Sprintf("ERR Invalid value '%s' to SENTINEL CONFIG SET '%s'", words[i+1], words[i]))
			return
		}
		wanted[name] = words[i+1]
	}
	c.done(c.server.cfg.Backend.SetParameters(ctx, wanted))
}

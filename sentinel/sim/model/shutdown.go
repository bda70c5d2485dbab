package model

import (
	"strconv"
	"strings"
	"time"
)

// shutdownOptions are the words behind SHUTDOWN.
type shutdownOptions struct{ save, noSave, now, force, abort bool }

// shuttingDown is a SHUTDOWN that waits for replicas.
type shuttingDown struct {
	by      *client // gets an error if it is aborted; nil: it has gone, or was a signal
	options shutdownOptions
}

func parseShutdown(args []string) (o shutdownOptions, ok bool) {
	for _, word := range args {
		switch strings.ToLower(word) {
		case "save":
			o.save = true
		case "nosave":
			o.noSave = true
		case "now":
			o.now = true
		case "force":
			o.force = true
		case "abort":
			o.abort = true
		default:
			return o, false
		}
	}
	return o, !(o.save && o.noSave) && !(o.abort && len(args) > 1)
}

// shutdown waits until the replicas have everything, or for shutdown-timeout, while writes are paused.
func (p *process) shutdown(c *client, args []string) {
	o, ok := parseShutdown(args[1:])
	switch {
	case !ok:
		c.fail(syntax)
	case o.abort && p.stopping == nil:
		c.fail("ERR No shutdown in progress.")
	case o.abort:
		p.abortShutdown()
		c.ok()
	case p.stopping != nil:
		c.blocked = &block{} // until the other one is through
	default:
		p.beginShutdown(c, o)
	}
}

// beginShutdown ends the process as soon as it may. Nobody asks where it was a signal.
func (p *process) beginShutdown(by *client, o shutdownOptions) {
	seconds, _ := strconv.ParseInt(p.value("shutdown-timeout"), 10, 64) // checked when it was set
	if o.now || seconds == 0 || p.replicasHaveAll() {
		p.exit(o)
		return
	}
	s := &shuttingDown{by: by, options: o}
	p.stopping = s
	p.pause(byShutdown, pauseWrites, never)
	p.feed(-1, "REPLCONF", "GETACK", "*")
	if by != nil {
		by.blocked = &block{}
	}
	p.after(time.Duration(seconds)*time.Second, func() {
		if p.stopping == s {
			p.exit(o)
		}
	})
}

func (p *process) replicasHaveAll() bool {
	for _, c := range p.replicas {
		if c.replica.state == online && c.replica.acked != p.offset {
			return false
		}
	}
	return true
}

func (p *process) advanceShutdown() {
	if p.stopping != nil && p.replicasHaveAll() {
		p.exit(p.stopping.options)
	}
}

func (p *process) abortShutdown() {
	by := p.stopping.by
	p.stopping = nil
	if by != nil {
		by.fail("ERR Errors trying to SHUTDOWN. Check logs.")
		p.unblock(by)
	}
	p.unpause(byShutdown)
}

// exit ends the process from within.
func (p *process) exit(o shutdownOptions) {
	p.stopping = nil
	if o.save {
		p.save(p.image())
	} else if !o.noSave {
		p.saveAtExit()
	}
	p.die()
}

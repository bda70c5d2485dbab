package model

import (
	"slices"
	"strconv"
	"time"
)

// block is a WAIT that has not been answered.
type block struct {
	offset   int64 // that replicas must have
	replicas int64 // how many
	timer    *time.Timer
}

func (p *process) wait(c *client, args []string) {
	if p.masterHost != "" {
		c.fail("ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to " +
			"be writable (which is not the default) writes to replicas are just local and are not propagated.")
		return
	}
	replicas, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		c.fail(notInteger)
		return
	}
	timeout, refusal := parseTimeout(args[2])
	if refusal != "" {
		c.fail(refusal)
		return
	}
	if have := p.acknowledged(c.wrote); have >= replicas || c.queue != nil {
		c.number(have)
		return
	}
	c.blocked = &block{offset: c.wrote, replicas: replicas}
	if timeout > 0 {
		b := c.blocked
		b.timer = p.after(timeout, func() {
			if c.blocked == b {
				p.answerWait(c)
			}
		})
	}
	p.waiters = append(p.waiters, c)
	p.askAcks = true
}

// acknowledged is how many replicas have said that they have applied the stream up to offset.
func (p *process) acknowledged(offset int64) (n int64) {
	for _, r := range p.replicas {
		if r.replica.state == online && r.replica.acked >= offset {
			n++
		}
	}
	return n
}

// answerWaiters answers those that have waited for enough.
func (p *process) answerWaiters() {
	for _, c := range slices.Clone(p.waiters) {
		if p.acknowledged(c.blocked.offset) >= c.blocked.replicas {
			p.answerWait(c)
		}
	}
}

func (p *process) answerWait(c *client) {
	c.number(p.acknowledged(c.blocked.offset))
	p.unblock(c)
}

// unblock lets a client go on with what it sent.
func (p *process) unblock(c *client) {
	if c.blocked == nil {
		return
	}
	if c.blocked.timer != nil {
		c.blocked.timer.Stop()
	}
	c.blocked = nil
	p.waiters = slices.DeleteFunc(p.waiters, func(w *client) bool { return w == c })
	p.resume = append(p.resume, c)
}

// unblockAll sends those away who wait for what can't come any more: this is becoming a replica.
func (p *process) unblockAll() {
	for _, c := range slices.Clone(p.waiters) {
		c.fail("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
		c.closeAfter = true
		p.unblock(c)
	}
}

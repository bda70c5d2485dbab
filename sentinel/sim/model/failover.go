package model

import (
	"strconv"
	"strings"
	"time"
)

// failoverState is how far the server's own FAILOVER command has come.
type failoverState int

const (
	noFailover failoverState = iota
	failoverWaits
	failoverInProgress
)

func (s failoverState) String() string {
	return [...]string{"no-failover", "waiting-for-sync", "failover-in-progress"}[s]
}

type failover struct {
	state      failoverState
	host, port string    // of the target; empty: whoever catches up first
	until      time.Time // zero: no time-out
	force      bool      // go on at the time-out, whatever the target lacks
}

func (p *process) failoverCommand(c *client, args []string) {
	if len(args) == 2 && strings.EqualFold(args[1], "abort") {
		if p.failover.state == noFailover {
			c.fail("ERR No failover in progress.")
			return
		}
		p.abortFailover()
		c.ok()
		return
	}
	f, refusal := parseFailover(args[1:])
	if refusal == "" {
		refusal = p.refuseFailover(&f)
	}
	if refusal != "" {
		c.fail(refusal)
		return
	}
	p.failover = f
	p.failover.state = failoverWaits
	p.pause(byFailover, pauseWrites, never)
	p.cron.Reset(0)
	c.ok()
}

func parseFailover(args []string) (f failover, refusal string) {
	timeout := false
	for i := 0; i < len(args); i++ {
		switch left := len(args) - i - 1; {
		case strings.EqualFold(args[i], "timeout") && left >= 1 && !timeout:
			ms, err := strconv.ParseInt(args[i+1], 10, 64)
			if err != nil || ms > int64(maxTimeout/time.Millisecond) {
				return f, notInteger
			}
			if ms <= 0 {
				return f, "ERR FAILOVER timeout must be greater than 0"
			}
			f.until = time.Now().Add(time.Duration(ms) * time.Millisecond)
			timeout = true
			i++
		case strings.EqualFold(args[i], "to") && left >= 2 && f.host == "":
			if n, err := strconv.ParseInt(args[i+2], 10, 64); err != nil || n < 0 || n > 65535 {
				return f, notInteger
			}
			f.host, f.port = args[i+1], args[i+2]
			i += 2
		case strings.EqualFold(args[i], "force") && !f.force:
			f.force = true
		default:
			return f, syntax
		}
	}
	return f, ""
}

func (p *process) refuseFailover(f *failover) string {
	switch {
	case p.failover.state != noFailover:
		return "ERR FAILOVER already in progress."
	case p.masterHost != "":
		return "ERR FAILOVER is not valid when server is a replica."
	case len(p.replicas) == 0:
		return "ERR FAILOVER requires connected replicas."
	case f.force && (f.until.IsZero() || f.host == ""):
		return "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
	}
	if f.host == "" {
		return ""
	}
	target := p.findReplica(f.host, f.port)
	switch {
	case target == nil:
		return "ERR FAILOVER target HOST and PORT is not a replica."
	case target.replica.state == waitStart || target.replica.state == waitEnd:
		return "ERR FAILOVER target replica is not online."
	}
	return ""
}

// advanceFailover hands over as soon as the target has everything.
func (p *process) advanceFailover() {
	f := &p.failover
	if f.state != failoverWaits {
		return
	}
	if !f.until.IsZero() && !time.Now().Before(f.until) {
		if f.force {
			p.handOver(f.host, f.port)
		} else {
			p.abortFailover()
		}
		return
	}
	for _, c := range p.replicas {
		is := f.host == "" || c == p.findReplica(f.host, f.port)
		if is && c.replica.acked == p.offset {
			p.handOver(c.announced(), c.replica.port)
			return
		}
	}
}

func (p *process) handOver(host, port string) {
	p.failover.state = failoverInProgress
	p.follow(host, port)
}

// failoverAnswered is told whether the target took over.
func (p *process) failoverAnswered(accepted bool) {
	if p.failover.state != failoverInProgress {
		return
	}
	if accepted {
		p.endFailover()
	} else {
		p.abortFailover()
	}
}

// abortFailover leaves everything as it was, but for the replication id when it was too late for that.
func (p *process) abortFailover() {
	if p.failover.state == failoverInProgress {
		p.becomeMaster()
	}
	p.endFailover()
}

func (p *process) endFailover() {
	p.failover = failover{}
	p.unpause(byFailover)
}

// takeOver makes a replica the master because its master asks for it. False: it was refused.
func (p *process) takeOver(c *client, replID string) bool {
	switch {
	case p.masterHost == "":
		c.fail("ERR PSYNC FAILOVER can't be sent to a master.")
	case replID != p.replID:
		c.fail("ERR PSYNC FAILOVER replid must match my replid.")
	default:
		p.becomeMaster()
		return true
	}
	return false
}

package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// replicaState is what a master knows of one that sent PSYNC.
type replicaState int

const (
	notReplica replicaState = iota // it has only said REPLCONF
	waitStart                      // for a snapshot to begin
	waitEnd                        // for it to end
	sendBulk                       // it is sent
	online
)

func (s replicaState) String() string {
	return [...]string{"", "wait_bgsave", "wait_bgsave", "send_bulk", "online"}[s]
}

// replica is what a connection has that replicates.
type replica struct {
	state   replicaState
	port    string // where it listens
	ip      string // as announced; empty: where it comes from
	eof     bool   // it takes a snapshot of unknown length
	psync2  bool   // it understands that the replication id has changed
	acked   int64
	ackTime time.Time
	held    []byte // stream behind the snapshot, until that is there
	onAck   bool   // held until its first acknowledgement
}

// announced is the address under which it is known.
func (c *client) announced() string {
	if c.replica.ip != "" {
		return c.replica.ip
	}
	return c.host()
}

// push sends bytes that are no reply.
func (c *client) push(raw []byte) {
	if !c.closed {
		c.out = append(c.out, raw...)
		c.touch()
	}
}

// sendStream sends a part of the stream, now or behind the snapshot.
func (c *client) sendStream(raw []byte) {
	switch r := c.replica; {
	case r.state == waitStart: // the snapshot will have it
	case r.state == online && !r.onAck:
		c.push(raw)
	case len(r.held)+len(raw) > maxReplicaOut:
		c.p.disconnect(c)
	default:
		r.held = append(r.held, raw...)
	}
}

// putOnline has the stream flow, unless it must wait for a first acknowledgement.
func (c *client) putOnline(onAck bool) {
	r := c.replica
	r.state, r.ackTime, r.onAck = online, time.Now(), onAck
	if !onAck {
		c.release()
	}
	c.p.countGood()
}

func (c *client) release() {
	c.replica.onAck = false
	if len(c.replica.held) > 0 {
		c.push(c.replica.held)
	}
	c.replica.held = nil
}

func (p *process) replconf(c *client, args []string) {
	if len(args)%2 == 0 {
		c.fail(syntax)
		return
	}
	if c.replica == nil {
		c.replica = &replica{port: "0"}
	}
	r := c.replica
	for i := 1; i < len(args); i += 2 {
		word := args[i+1]
		switch strings.ToLower(args[i]) {
		case "listening-port":
			if _, err := strconv.ParseInt(word, 10, 64); err != nil {
				c.fail(notInteger)
				return
			}
			r.port = word
		case "ip-address":
			r.ip = word
		case "capa":
			r.eof = r.eof || strings.EqualFold(word, "eof")
			r.psync2 = r.psync2 || strings.EqualFold(word, "psync2")
		case "ack":
			p.acked(c, word)
			return
		case "getack":
			if c.master {
				p.acknowledge()
			}
			return
		default:
			c.fail("ERR Unrecognized REPLCONF option: " + args[i])
			return
		}
	}
	c.ok()
}

// acked notes what a replica says that it has applied. It is never answered.
func (p *process) acked(c *client, word string) {
	r := c.replica
	offset, err := strconv.ParseInt(word, 10, 64)
	if err != nil || r.state == notReplica {
		return
	}
	r.acked = max(r.acked, offset)
	r.ackTime = time.Now()
	if r.onAck && r.state == online {
		c.release()
	}
}

// psync answers PSYNC and SYNC: with the rest of the stream where the histories agree, else with a snapshot.
func (p *process) psync(c *client, args []string) {
	if c.class() == "replica" {
		return
	}
	if len(args) > 3 && strings.EqualFold(args[3], "failover") && !p.takeOver(c, args[1]) {
		return
	}
	switch {
	case p.failover.state != noFailover:
		c.fail("NOMASTERLINK Can't SYNC while failing over")
		return
	case p.masterHost != "" && p.linkState != linkConnected:
		c.fail("NOMASTERLINK Can't SYNC while not connected with my master")
		return
	case len(c.out) > 0:
		c.fail("ERR SYNC and PSYNC are invalid with pending output")
		return
	}
	if c.replica == nil {
		c.replica = &replica{port: "0"}
	}
	if len(args) > 2 {
		offset, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			c.fail(notInteger)
			return
		}
		if p.continues(c, args[1], offset) {
			return
		}
		if args[1] != "?" {
			p.stats.syncNotTaken++
		}
	}
	p.stats.syncFull++
	c.replica.state = waitStart
	p.replicas = append(p.replicas, c)
	if len(p.replicas) == 1 && p.backlog == nil {
		p.newHistory() // what came before is not known to anybody
		p.makeBacklog()
	}
	if !c.replica.eof || !p.set.diskless || p.set.syncDelay == 0 {
		p.startSnapshots()
	}
}

// continues goes on with a history from offset, if that is ours and at hand.
func (p *process) continues(c *client, replID string, offset int64) bool {
	ours := replID == p.replID || replID == p.replID2 && offset <= p.second
	if !ours || p.backlog == nil || !p.backlog.holds(offset) {
		return false
	}
	if c.replica.psync2 {
		c.status("CONTINUE " + p.replID)
	} else {
		c.status("CONTINUE")
	}
	p.stats.syncPartialOK++
	p.replicas = append(p.replicas, c)
	c.push(p.backlog.from(offset))
	c.putOnline(false)
	return true
}

// startSnapshots makes one for all replicas that wait, unless one is being made, or more of them are waited for.
func (p *process) startSnapshots() {
	if p.saving || p.loading {
		return
	}
	var waiting []*client
	ready := !p.set.diskless || p.set.syncDelay == 0
	for _, c := range p.replicas {
		if c.replica.state == waitStart {
			waiting = append(waiting, c)
			idle := time.Since(c.seen) >= time.Duration(p.set.syncDelay)*time.Second
			ready = ready || idle || !c.replica.eof
		}
	}
	if len(waiting) == 0 || !ready {
		return
	}
	p.saving = true
	p.selected = -1 // the stream behind the snapshot begins with SELECT
	for _, c := range waiting {
		if c.replica.ip == "" {
			c.replica.ip = c.host()
		}
		c.push([]byte("+FULLRESYNC " + p.replID + " " + strconv.FormatInt(p.offset, 10) + "\r\n"))
		c.replica.state = waitEnd
	}
	image := p.image()
	p.after(p.cfg.SnapshotTime, func() { p.sendSnapshots(image, waiting) })
}

// sendSnapshots sends what is ready. The server notices only later that it is through, and until then ignores that a replica
// acknowledges it: such a replica gets the stream with its next acknowledgement, after up to a second.
func (p *process) sendSnapshots(i *image, waiting []*client) {
	if !p.set.diskless {
		p.save(i)
	}
	for _, c := range waiting {
		p.sendSnapshot(c, i.data)
	}
	p.after(time.Duration(p.random.Int64N(int64(childPeriod))), func() {
		p.saving = false
		for _, c := range waiting {
			if !c.closed {
				c.putOnline(p.set.diskless && c.replica.eof)
			}
		}
		p.startSnapshots()
	})
}

// childPeriod is how often a server looks whether its child has ended.
const childPeriod = 100 * time.Millisecond

// sendSnapshot sends it with its length, or, as one that is made on the fly, between marks.
func (p *process) sendSnapshot(c *client, data []byte) {
	var out []byte
	if p.set.diskless && c.replica.eof {
		mark := p.newID()
		out = append(out, "$EOF:"+mark+"\r\n"...)
		out = append(out, data...)
		out = append(out, mark...)
	} else {
		out = appendHeader(out, '$', int64(len(data)))
		out = append(out, data...)
	}
	c.push(out)
}

// removeReplica forgets a connection that replicated.
func (p *process) removeReplica(c *client) {
	if c.replica == nil || c.replica.state == notReplica {
		return
	}
	p.replicas = slices.DeleteFunc(p.replicas, func(r *client) bool { return r == c })
	if len(p.replicas) == 0 {
		p.noReplicas = time.Now()
	}
	p.countGood()
}

func (p *process) disconnectReplicas() {
	for _, c := range slices.Clone(p.replicas) {
		p.disconnect(c)
	}
}

// findReplica is the one that is known under an address.
func (p *process) findReplica(host, port string) *client {
	for _, c := range p.replicas {
		if c.announced() == host && c.replica.port == port {
			return c
		}
	}
	return nil
}

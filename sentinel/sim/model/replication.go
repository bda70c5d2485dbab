package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const zeroID = "0000000000000000000000000000000000000000"

var replicationCommands = []*command{
	{name: "wait", arity: 3, run: (*process).wait},
	{name: "replicaof", arity: 3, traits: whileStale, run: (*process).replicaOf},
	{name: "slaveof", arity: 3, traits: whileStale, run: (*process).replicaOf},
	{name: "replconf", arity: -1, traits: always, run: (*process).replconf},
	{name: "psync", arity: -3, traits: notInMulti, run: (*process).psync},
	{name: "sync", arity: 1, traits: notInMulti, run: (*process).psync},
	{name: "failover", arity: -1, traits: whileStale, run: (*process).failoverCommand},
	{name: "role", arity: 1, traits: always, run: (*process).roleCommand},
}

// linkState is how far a replica's connection with its master has come.
type linkState int

const (
	linkNone       linkState = iota // this is a master
	linkConnect                     // try, the next time somebody looks
	linkConnecting                  // or shaking hands
	linkTransfer                    // a snapshot is received or loaded
	linkConnected
)

// replication is a process's part in it.
//
// Its history is a stream of bytes, known by replID up to offset. It may also be continued under replID2, before second.
type replication struct {
	replID, replID2 string
	offset, second  int64
	selected        int      // database that the stream has selected; -1: it must say
	backlog         *backlog // nil: nothing is kept yet
	scratch         []byte   // for encoding

	replicas   []*client // those that sent PSYNC, in order
	good       int       // of them that acknowledged lately
	askAcks    bool      // before sleeping
	noReplicas time.Time // since when there are none

	masterHost, masterPort string // empty: this is a master
	linkState              linkState
	link                   *link    // under way until there is a master; nil: none
	master                 *client  // when connected
	cached                 *history // to go on with, while there is no master
	lastIO                 time.Time
	downSince              time.Time

	failover failover
}

// history is what a replica can continue.
type history struct {
	replID string
	offset int64
	db     int
}

func (p *process) role() string {
	if p.masterHost == "" {
		return "master"
	}
	return "slave"
}

// feed appends a command to the stream. Only a master without a master does: others pass on what they receive. The database is -1
// where it does not matter.
func (p *process) feed(db int, args ...string) {
	if p.masterHost != "" || p.backlog == nil && len(p.replicas) == 0 {
		return
	}
	buf := p.scratch[:0]
	if db >= 0 && db != p.selected {
		buf = appendCommand(buf, "SELECT", strconv.Itoa(db))
		p.selected = db
	}
	buf = appendCommand(buf, args...)
	p.scratch = buf
	p.stream(buf)
}

// stream adds bytes to the history and sends them to the replicas.
func (p *process) stream(raw []byte) {
	p.offset += int64(len(raw))
	if p.backlog != nil {
		p.backlog.add(raw)
	}
	for _, c := range slices.Clone(p.replicas) {
		c.sendStream(raw)
	}
}

// streamApplied is told how many bytes a command from the master had. A transaction counts when it has been executed.
func (p *process) streamApplied(c *client, raw []byte) {
	c.held = append(c.held, raw...)
	if c.queue != nil || p.master != c {
		return
	}
	c.applied += int64(len(c.held))
	p.stream(c.held)
	c.held = c.held[:0]
}

// lacksReplicas says whether min-replicas-to-write forbids writes.
func (p *process) lacksReplicas() bool {
	return p.masterHost == "" && p.set.minReplicas > 0 && p.set.maxLag > 0 && int64(p.good) < p.set.minReplicas
}

// countGood counts the replicas that have acknowledged lately. It is done once a second and when something changes, not for each
// write.
func (p *process) countGood() {
	p.good = 0
	now := time.Now().Unix()
	for _, c := range p.replicas {
		if c.replica.state == online && now-c.replica.ackTime.Unix() <= p.set.maxLag {
			p.good++
		}
	}
}

// newHistory begins one that nobody knows.
func (p *process) newHistory() {
	p.replID, p.replID2, p.second = p.newID(), zeroID, -1
}

func (p *process) makeBacklog() {
	if p.backlog == nil {
		p.backlog = newBacklog(int(p.set.backlogSize), p.offset)
	}
}

// replicationCron is done each second, but not by one that loads.
func (p *process) replicationCron() {
	if p.loading {
		return
	}
	p.advanceFailover()
	p.superviseLink()
	p.pingReplicas()
	p.dropSilentReplicas()
	p.forgetIdleBacklog()
	p.startSnapshots()
	p.countGood()
	p.loops++
}

func (p *process) superviseLink() {
	timeout := time.Duration(p.set.replTimeout) * time.Second
	if p.masterHost == "" {
		return
	}
	switch late := time.Since(p.lastIO) > timeout; {
	case p.linkState == linkConnected:
		if time.Since(p.master.seen) > timeout {
			p.disconnect(p.master)
		}
	case late && p.linkState != linkConnect:
		p.dropLink()
		p.linkState = linkConnect
	}
	if p.linkState == linkConnect {
		p.connect()
	}
	if p.master != nil {
		p.acknowledge()
	}
}

// pingReplicas is a part of the stream, too. A failover with a time-out stops it, so that the offset stands still.
func (p *process) pingReplicas() {
	if len(p.replicas) == 0 || p.set.pingPeriod == 0 {
		return
	}
	held := !p.failover.until.IsZero() && p.paused()
	if p.loops%int(p.set.pingPeriod) == 0 && !held {
		p.feed(-1, "PING")
	}
	for _, c := range p.replicas {
		if c.replica.state == waitStart {
			c.push([]byte("\n")) // a sign of life in place of the snapshot
		}
	}
}

func (p *process) dropSilentReplicas() {
	now := time.Now().Unix()
	for _, c := range slices.Clone(p.replicas) {
		if c.replica.state == online && now-c.replica.ackTime.Unix() > p.set.replTimeout {
			p.disconnect(c)
		}
	}
}

// forgetIdleBacklog gives up a history that nobody has followed for long.
func (p *process) forgetIdleBacklog() {
	ttl := time.Duration(p.set.backlogTTL) * time.Second
	if p.backlog == nil || len(p.replicas) > 0 || p.masterHost != "" || ttl == 0 || time.Since(p.noReplicas) <= ttl {
		return
	}
	p.newHistory()
	p.backlog = nil
}

func (p *process) replicaOf(c *client, args []string) {
	host, port := args[1], args[2]
	if p.failover.state != noFailover {
		c.fail("ERR REPLICAOF not allowed while failing over.")
		return
	}
	if strings.EqualFold(host, "no") && strings.EqualFold(port, "one") {
		p.becomeMaster()
		c.ok()
		return
	}
	if c.class() == "replica" {
		c.fail("ERR Command is not valid when client is a replica.")
		return
	}
	if n, err := strconv.ParseInt(port, 10, 64); err != nil || n < 0 || n > 65535 {
		c.fail("ERR Invalid master port")
		return
	}
	if strings.EqualFold(host, p.masterHost) && port == p.masterPort {
		c.status("OK Already connected to specified master")
		return
	}
	p.follow(host, port)
	c.ok()
}

// becomeMaster goes on with the history under a new id. Replicas come back with the old one, and are served up to here.
func (p *process) becomeMaster() {
	if p.masterHost == "" {
		return
	}
	p.masterHost, p.masterPort = "", ""
	p.dropMaster()
	p.cached = nil
	p.replID2, p.second = p.replID, p.offset+1
	p.replID = p.newID()
	p.disconnectReplicas()
	p.linkState = linkNone
	p.selected = -1
	p.noReplicas = time.Now()
	p.watchAllExpiries()
	p.observe(Event{Kind: Promoted})
}

// follow makes this a replica of another server. The replicas stay: they may be able to follow the new history through this one.
func (p *process) follow(host, port string) {
	was := p.masterHost == ""
	p.masterHost = "" // so that losing the master connects nowhere
	p.dropMaster()
	p.unblockAll()
	p.masterHost, p.masterPort = host, port
	if was {
		p.cacheOwnHistory()
	}
	p.linkState = linkConnect
	p.observe(Event{Kind: Followed, Master: host + ":" + port})
	p.connect()
}

// cacheOwnHistory lets a master go on as a replica of one that continues its history.
func (p *process) cacheOwnHistory() {
	p.makeBacklog()
	p.cached = &history{p.replID, p.offset, 0}
}

// dropMaster ends the connection with the master, or what is to become one.
func (p *process) dropMaster() {
	p.dropLink()
	if p.master != nil {
		p.disconnect(p.master)
	}
}

func (p *process) watchAllExpiries() {
	for i := range p.data {
		for _, at := range p.data[i].expires {
			p.watchExpiry(max(at, time.Now().UnixMilli()))
		}
	}
}

func (p *process) roleCommand(c *client, _ []string) {
	if p.masterHost == "" {
		p.masterRole(c)
		return
	}
	states := map[linkState]string{
		linkConnect: "connect", linkConnecting: "connecting", linkTransfer: "sync", linkConnected: "connected",
	}
	offset := int64(-1)
	if p.master != nil {
		offset = p.master.applied
	}
	port, _ := strconv.ParseInt(p.masterPort, 10, 64) // checked when it was set
	c.array(5)
	c.bulk("slave")
	c.bulk(p.masterHost)
	c.number(port)
	c.bulk(states[p.linkState])
	c.number(offset)
}

func (p *process) masterRole(c *client) {
	c.array(3)
	c.bulk("master")
	c.number(p.offset)
	var list []*client
	for _, r := range p.replicas {
		if r.replica.state == online {
			list = append(list, r)
		}
	}
	c.array(len(list))
	for _, r := range list {
		c.bulks(r.announced(), r.replica.port, strconv.FormatInt(r.replica.acked, 10))
	}
}

package model

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Persistence is how data outlive a process.
type Persistence int

// The ways, as Redis has them. A snapshot that a master sent is kept as dump.rdb in all of them.
const (
	None Persistence = iota
	RDB              // at SAVE, BGSAVE and a shutdown, with the replication id and offset
	AOF              // every command, without them
)

// directives are the values of save and appendonly.
func (k Persistence) directives() (save, appendOnly string) {
	switch k {
	case RDB:
		return "3600 1 300 100 60 10000", "no"
	case AOF:
		return "", "yes"
	}
	return "", "no"
}

// disk is what is left of a process.
type disk struct {
	conf map[string]string
	rdb  *image // nil: there is no dump.rdb
	aof  aof
}

// image is a snapshot and the place of it in a history.
type image struct {
	data   []byte
	replID string // empty: nobody can go on from here
	offset int64
	db     int

	changes int64 // that it makes safe
}

// aof is the file of commands.
type aof struct {
	data     []byte
	synced   int // so much survives a loss of power
	base     int // so much of it was written by the last rewrite
	selected int // database at its end; -1: it must say
}

// maxGrowth is by how much the file may grow, beyond twice its base, before it is written anew.
const maxGrowth = 1 << 20

// append adds a command to the file.
func (d *disk) append(set settings, db int, args []string) {
	if !set.appendOnly {
		return
	}
	if db >= 0 && db != d.aof.selected {
		d.aof.data = appendCommand(d.aof.data, "SELECT", strconv.Itoa(db))
		d.aof.selected = db
	}
	d.aof.data = appendCommand(d.aof.data, args...)
	if set.syncAlways {
		d.aof.synced = len(d.aof.data)
	}
}

func (d *disk) loseUnsynced() { d.aof.data = d.aof.data[:d.aof.synced] }

// syncFile is done each second.
func (p *process) syncFile() {
	f := &p.disk.aof
	if p.value("appendfsync") != "no" {
		f.synced = len(f.data)
	}
	if len(f.data) > 2*f.base+maxGrowth {
		p.rewriteFile()
	}
}

// rewriteFile makes the file as short as the data allow.
func (p *process) rewriteFile() {
	if !p.set.appendOnly {
		p.disk.aof = aof{}
		return
	}
	data := p.data.encode()
	p.disk.aof = aof{data: data, synced: len(data), base: len(data), selected: -1}
}

// image is the data as they are now, with their place in the history if somebody could go on from it.
func (p *process) image() *image {
	i := &image{data: p.data.encode(), changes: p.stats.changes}
	if p.masterHost != "" || p.backlog != nil {
		i.replID, i.offset, i.db = p.replID, p.offset, max(0, p.selected)
	}
	if p.master != nil {
		i.offset, i.db = p.master.applied, p.master.db
	}
	return i
}

// save writes dump.rdb.
func (p *process) save(i *image) {
	p.disk.rdb = i
	p.stats.saves++
	p.stats.changes -= i.changes
	p.stats.lastSave = time.Now()
}

// saveAtExit is what SIGTERM and SHUTDOWN do.
func (p *process) saveAtExit() {
	p.disk.aof.synced = len(p.disk.aof.data)
	if p.set.saves {
		p.save(p.image())
	}
}

// boot loads what the files hold and begins as the configuration says.
func (p *process) boot() {
	data := []byte(nil)
	var from *image
	switch {
	case p.set.appendOnly && len(p.disk.aof.data) > 0:
		data = p.disk.aof.data
	case !p.set.appendOnly && p.disk.rdb != nil:
		from = p.disk.rdb
		data = from.data
	}
	if len(data) == 0 {
		p.booted(nil, from)
		return
	}
	p.loading = true
	if p.masterHost != "" {
		p.linkState = linkConnect
	}
	p.after(p.cfg.SnapshotTime, func() { p.booted(data, from) })
}

func (p *process) booted(data []byte, from *image) {
	p.loading = false
	p.replay(data)
	if from != nil && from.replID != "" {
		p.recall(from)
	}
	p.rewriteFile()
	if p.masterHost != "" {
		p.connect()
	}
	p.noReplicas = time.Now()
	p.watchAllExpiries()
}

// recall takes up the history of a snapshot: a replica goes on with it, a master serves those who do.
func (p *process) recall(from *image) {
	if p.masterHost != "" {
		p.replID, p.offset = from.replID, from.offset
		p.cacheOwnHistory()
		p.cached.db = from.db
		return
	}
	p.replID2, p.second = from.replID, from.offset+1
	p.offset += from.offset
	p.makeBacklog()
}

// replay executes the commands of a file or snapshot. What is torn off at its end is left out, also a transaction.
func (p *process) replay(data []byte) {
	p.data.clear()
	c := &client{p: p, authenticated: true, master: true}
	for rest := bytes.Clone(data); len(rest) > 0; {
		args, n, err := parse(rest)
		if err != nil || n == 0 {
			break
		}
		rest = rest[n:]
		if len(args) == 0 {
			continue
		}
		cmd := commands[strings.ToLower(args[0])]
		switch {
		case c.queue != nil && !cmd.is(notQueued):
			c.queue.add(cmd, args)
		default:
			cmd.run(p, c, args)
		}
	}
	p.ops = p.ops[:0]
	p.stats.changes = 0
}

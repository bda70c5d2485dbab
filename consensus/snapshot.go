package consensus

// reception is a snapshot that is coming in.
type reception struct {
	meta SnapshotMeta
	term Term  // of the leader that sends it: another one's copy may be encoded differently
	held int64 // bytes written so far
}

// startTransfer begins to send the snapshot, because the entries that the follower needs are compacted.
func (c *Core) startTransfer(to ServerID, p *progress) {
	p.state, p.flight, p.asked = snapshotting, nil, false
	p.transfer, p.offset = c.log.snapshot.Index, 0
	c.sendChunk(to, p)
}

// sendChunk asks the driver for the chunk at the follower's offset.
func (c *Core) sendChunk(to ServerID, p *progress) {
	p.sent = c.now
	c.send(to, &SnapshotChunk{Meta: c.log.snapshot, Offset: p.offset})
}

// resumeTransfer sends the outstanding chunk again when no answer came for a while.
func (c *Core) resumeTransfer(to ServerID, p *progress) {
	if c.now-p.sent >= c.cfg.ElectionTimeout {
		c.sendChunk(to, p)
	}
}

// handleSnapshotResponse continues or ends a transfer. The follower may speak of a newer snapshot than this leader's
// core knows: the driver sends what is current.
func (c *Core) handleSnapshotResponse(m Message, r *SnapshotResponse) {
	if c.role != Leader || c.lead.followers[m.From] == nil || !c.genuine(m) {
		return
	}
	p := c.lead.followers[m.From]
	p.hear(c.now)
	p.admitted = p.admitted || r.Admitted
	if p.state != snapshotting || r.Offset < 0 || r.Index > c.log.last() || r.Index < p.transfer {
		return
	}
	if !r.Installed {
		if p.transfer == r.Index && p.offset == r.Offset && c.now == p.sent {
			return // a duplicate of the answer that was just acted on
		}
		p.transfer, p.offset = r.Index, r.Offset
		c.sendChunk(m.From, p)
		return
	}
	p.acknowledge(r.Index)
	p.probe(p.match + 1)
	c.advanceCommit()
}

// handleChunk takes in a piece of a leader's snapshot.
func (c *Core) handleChunk(m Message, chunk *SnapshotChunk) {
	if c.role == Leader || chunk.Meta.Configuration.unusable() != "" {
		return
	}
	c.hear(m.From)
	switch {
	case chunk.Meta.Index <= c.commit:
		c.receiving = nil
		c.sendLater(m.From, &SnapshotResponse{Index: chunk.Meta.Index, Installed: true, Admitted: c.hard.Admitted})
		return
	case c.out.chunk != nil:
		return // one at a time; it is sent again
	}
	if r := c.receiving; r == nil || r.meta.Index != chunk.Meta.Index || r.meta.Term != chunk.Meta.Term || r.term != m.Term {
		c.receiving = &reception{meta: chunk.Meta, term: m.Term}
	}
	if chunk.Offset != c.receiving.held {
		c.send(m.From, &SnapshotResponse{Index: chunk.Meta.Index, Offset: c.receiving.held, Admitted: c.hard.Admitted})
		return
	}
	c.out.chunk = chunk
	c.receiving.held += int64(len(chunk.Data))
	if !chunk.Done {
		c.sendLater(m.From, &SnapshotResponse{Index: chunk.Meta.Index, Offset: c.receiving.held, Admitted: c.hard.Admitted})
		return
	}
	c.install(chunk.Meta)
	c.sendLater(m.From, &SnapshotResponse{Index: chunk.Meta.Index, Installed: true, Admitted: c.hard.Admitted})
}

// install makes a received snapshot the beginning of the log.
func (c *Core) install(meta SnapshotMeta) {
	c.receiving = nil
	// The disk may keep its log only if it was told of everything up to the snapshot; else an older suffix could stay there.
	written := c.disk.saving >= meta.Index
	c.out.keepLog = c.log.restore(meta) && written
	if c.log.last() == meta.Index {
		c.unsave(1) // until the snapshot is installed, the disk holds nothing that counts
	}
	c.commit = meta.Index
	c.handed = max(c.handed, meta.Index)
	c.disk.saving = max(c.disk.saving, meta.Index)
	c.reconfigure()
	c.maybeAdmit()
	c.out.install = &meta
}

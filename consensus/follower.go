package consensus

// handleAppend takes in a leader's append of this term (Raft §5.3).
func (c *Core) handleAppend(m Message, r *AppendRequest) {
	if c.role == Leader {
		return // a second leader of this term can't be: the sender is not a correct server
	}
	c.hear(m.From)
	c.blank.group = true
	if !contiguous(r) {
		return
	}
	entries, prev, prevTerm := r.Entries, r.PrevIndex, r.PrevTerm
	if prev < c.commit {
		// What is committed here is the same in every leader's log: look only at what is behind it.
		skip := min(c.commit-prev, Index(len(entries)))
		entries = entries[skip:]
		if len(entries) == 0 {
			c.acknowledge(m.From, r, min(r.PrevIndex+Index(len(r.Entries)), c.log.last()))
			return
		}
		prev = c.commit
		prevTerm, _ = c.log.term(prev)
	}
	if !c.log.has(prev, prevTerm) {
		hint, term := c.log.conflictHint(min(prev, c.log.last()), prevTerm)
		c.send(m.From, &AppendResponse{Rejected: true, PrevIndex: r.PrevIndex, Round: r.Round, HintIndex: hint, HintTerm: term})
		return
	}
	if c.full() && prev == c.log.last() && len(entries) > 0 {
		return // the leader sends them again
	}
	c.store(entries)
	match := r.PrevIndex + Index(len(r.Entries))
	// Never further than what this message vouches for: behind it may stand what another leader left.
	c.commit = max(c.commit, min(r.Commit, match))
	c.maybeAdmit()
	c.acknowledge(m.From, r, match)
}

// contiguous refuses a malformed request.
func contiguous(r *AppendRequest) bool {
	for i, e := range r.Entries {
		if e.Index != r.PrevIndex+1+Index(i) || e.Term < r.PrevTerm || e.Kind > EntryConfiguration {
			return false
		}
		if e.Kind != EntryConfiguration {
			continue
		}
		if _, err := decodeConfiguration(e.Data); err != nil {
			return false
		}
	}
	return true
}

// store appends what is new. Only a real conflict of terms truncates: a delayed, shorter append must not cut off what was
// acknowledged since.
func (c *Core) store(entries []Entry) {
	for i, e := range entries {
		if c.log.has(e.Index, e.Term) {
			continue
		}
		if e.Index <= c.log.last() {
			c.truncate(e.Index)
		}
		c.log.append(entries[i:])
		c.reconfigure()
		return
	}
}

// truncate drops the conflicting suffix; the disk learns of it by the entries that overwrite it.
func (c *Core) truncate(i Index) {
	c.log.truncate(i)
	c.disk.saving = min(c.disk.saving, i-1)
	c.disk.stable = min(c.disk.stable, i-1)
}

// acknowledge answers an append. One that brought entries is answered when they are durable; a heartbeat at once, and only with
// what is durable already, so that a slow disk causes no election.
func (c *Core) acknowledge(leader ServerID, r *AppendRequest, match Index) {
	if len(r.Entries) == 0 || match <= c.disk.stable {
		c.send(leader, &AppendResponse{Match: min(match, c.disk.stable), Round: r.Round})
		return
	}
	c.sendLater(leader, &AppendResponse{Match: match, Round: r.Round})
}

package consensus

// handleAppend takes in a leader's append of this term (Raft §5.3).
func (c *Core) handleAppend(m Message, r *AppendRequest) {
	if c.role == Leader {
		return // a second leader of this term can't be: the sender is not a correct server
	}
	c.hear(m.From)
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
		c.send(m.From, &AppendResponse{
			Rejected: true, PrevIndex: r.PrevIndex, Round: r.Round, HintIndex: hint, HintTerm: term, Admitted: c.hard.Admitted})
		return
	}
	if len(entries) > 0 && c.full() && entries[0].Kind == EntryCommand && entries[0].Term == m.Term {
		return // the leader sends them again. What a new leader begins with must pass: with it, old entries are committed and can go.
	}
	c.store(entries)
	match := r.PrevIndex + Index(len(r.Entries))
	// Never further than what this message vouches for: behind it may stand what another leader left.
	if planted(CommitBeyond) {
		match = c.log.last()
	}
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
		if _, err := DecodeConfiguration(e.Data); err != nil {
			return false
		}
	}
	return true
}

// store appends what is new. Only a real conflict of terms truncates: a delayed, shorter append must not cut off what was
// acknowledged since.
func (c *Core) store(entries []Entry) {
	if n := len(entries); n > 0 && planted(ShorterTruncates) && entries[n-1].Index < c.log.last() && entries[n-1].Index >= c.commit {
		c.truncate(entries[n-1].Index + 1)
	}
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
	c.unsave(i)
}

// acknowledge answers an append. One that brought entries is answered when they are durable; a heartbeat at once, and only with
// what is durable already, so that a slow disk causes no election.
func (c *Core) acknowledge(leader ServerID, r *AppendRequest, match Index) {
	if len(r.Entries) == 0 || match <= c.disk.stable {
		c.send(leader, &AppendResponse{Match: min(match, c.disk.stable), Round: r.Round, Admitted: c.hard.Admitted})
		return
	}
	c.sendLater(leader, &AppendResponse{Match: match, Round: r.Round, Admitted: c.hard.Admitted})
}

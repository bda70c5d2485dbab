package sentinel

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"time"

	"picket/config/sentinelconf"
	"picket/consensus/vfs"
	"picket/sentinel/picture"
)

const (
	scribeOp = "SENTINEL-CONF"
	// scribeRetry is the pause after the file could not be written.
	scribeRetry = 10 * time.Second
	// maxSentinelConf is as much as is read of such a file at the start.
	maxSentinelConf = 1 << 20
)

// scribe keeps a sentinel.conf as Redis Sentinel does, so that whoever reads it, or starts Redis Sentinel from it, finds what is so now. Nothing depends
// on it: what an agent must remember is in its log.
func (a *Agent) scribe(ctx context.Context) {
	path := a.cfg.SentinelConf()
	if path == "" {
		<-ctx.Done()
		return
	}
	var written sentinelconf.Known
	for {
		changed, retry := a.machine.Changed(), time.Duration(1<<62)
		if known := a.known(); !reflect.DeepEqual(known, written) {
			if err := a.rewrite(path, known); err != nil {
				a.herald.failed(ctx, "save "+path, "", err)
				retry = scribeRetry
			} else {
				written = known
			}
		}
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-a.dictated:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rewrite has the file say what is known. The file is read again each time: whoever has edited it finds that it is still so.
func (a *Agent) rewrite(path string, known sentinelconf.Known) error {
	text, err := vfs.ReadFile(a.host.FS, scribeOp, path, maxSentinelConf)
	if err != nil {
		return err
	}
	next, err := sentinelconf.Rewrite(string(text), known)
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", path, err)
	}
	if next == string(text) {
		return nil
	}
	return vfs.WriteAtomic(a.host.FS, scribeOp, path, []byte(next))
}

// dictate has the scribe look for what was set on this agent alone.
func (a *Agent) dictate() {
	select {
	case a.dictated <- struct{}{}:
	default: // it will look anyway
	}
}

// known is what a sentinel.conf says now.
func (a *Agent) known() sentinelconf.Known {
	s := a.machine.State()
	k := sentinelconf.Known{MyID: picture.MyID(a.cfg.Cluster, a.cfg.Agent.ID), Removed: s.Removed, Set: maps.Clone(a.rules.own.values.Load().Parameters)}
	var peers []sentinelconf.KnownPeer
	for _, p := range s.Agents {
		if p.ID != a.cfg.Agent.ID && p.Host != "" {
			peers = append(peers, sentinelconf.KnownPeer{ID: picture.MyID(a.cfg.Cluster, p.ID), Host: p.Host, Port: p.SentinelPort})
		}
	}
	for _, m := range a.managed(s) {
		k.Epoch = max(k.Epoch, m.Epoch)
		k.Masters = append(k.Masters, sentinelconf.KnownMaster{Settings: a.settings(m), Address: m.Addr, Epoch: m.Epoch, Replicas: m.Replicas, Peers: peers})
	}
	return k
}

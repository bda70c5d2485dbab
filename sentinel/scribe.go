package sentinel

import (
	"context"
	"errors"
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
	var refused *unfit
	for {
		changed, retry := a.machine.Changed(), time.Duration(1<<62)
		if known := a.known(); !reflect.DeepEqual(known, written) {
			if err := a.rewrite(path, known); err != nil {
				if !refused.is(err) { // which was told
					a.herald.failed(ctx, "save "+path, "", err)
				}
				retry = scribeRetry
				errors.As(err, &refused)
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

// unfit is a text that no agent could start from.
type unfit struct {
	text string
	why  error
}

func (u *unfit) Error() string {
	return fmt.Sprintf("no agent could start from what it would say now, so it stays as it is: %v", u.why)
}

// is says whether an error is about the same text.
func (u *unfit) is(err error) bool {
	other := (*unfit)(nil)
	return u != nil && errors.As(err, &other) && other.text == u.text
}

// rewrite has the file say what is known. The file is read again each time: whoever has edited it finds that it is still so. What the agent could not
// start from is not written: a master may be gone to which picket.yaml adds, or have a password there as well.
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
	if err := a.host.Startable([]byte(next)); err != nil {
		return &unfit{next, err}
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

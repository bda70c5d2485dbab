package sentinel

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// registryTimeout bounds a change of what is watched.
const registryTimeout = 5 * time.Second

// Monitor implements resp.Registry: a master that no file need name. The same again changes nothing, and every agent may be told.
func (a *Agent) Monitor(ctx context.Context, name string, addr config.Addr, quorum int) error {
	l := a.look()
	addr = a.names.Known(addr)
	if m := l.state.Master(name); m != nil {
		if s := a.settings(m); s != nil && m.Addr == addr && s.Quorum == quorum {
			return nil
		}
	} else if owner := l.state.Owner(addr); owner != nil {
		return fmt.Errorf("%w: %s belongs to master %s", picture.ErrTaken, addr, owner.Name)
	}
	return a.enact(ctx, l, state.Command{Monitor: &state.AddMaster{Name: name, Addr: addr, Quorum: quorum}})
}

// Remove implements resp.Registry.
func (a *Agent) Remove(ctx context.Context, name string) error {
	return a.enact(ctx, a.look(), state.Command{Remove: name})
}

// Set implements resp.Registry: all of the options, or none, unless this agent's disk fails. What belongs to one agent is set on this one; the rest on
// all.
func (a *Agent) Set(ctx context.Context, master string, options []state.Option) error {
	l := a.look()
	m := l.state.Master(master)
	if m == nil || a.settings(m) == nil {
		return picture.ErrUnknownMaster
	}
	changed := *a.settings(m)
	shared, own := []state.Option(nil), map[string]string{}
	for _, o := range options {
		if !utf8.ValidString(o.Name) || !utf8.ValidString(o.Value) {
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: picture.ErrNotText}
		}
		if err := changed.Set(o.Name, o.Value); err != nil {
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: err}
		}
		switch {
		case !config.OwnOption(o.Name):
			shared = append(shared, o)
		case o.Name != config.OptionUser && o.Name != config.OptionPassword && a.current().Scripts.DenyReconfig:
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: picture.ErrScriptsDenied}
		default:
			own[o.Name] = o.Value
		}
	}
	if len(shared) > 0 {
		if err := a.enact(ctx, l, state.Command{Set: &state.SetOptions{Master: master, Options: shared}}); err != nil {
			return err
		}
	}
	if len(own) == 0 {
		return nil
	}
	if err := a.rules.own.setMaster(m, own); err != nil {
		return err
	}
	a.herald.set(a.herald.owner(m, m.Addr), own)
	a.poke()
	a.dictate()
	return nil
}

// enact has a change committed. In a minority it is refused at once, and nothing changes.
func (a *Agent) enact(ctx context.Context, l look, c state.Command) error {
	if !l.electorate(a.cfg.Agent.ElectionTimeout).majority() {
		return picture.ErrNoMajority
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	c.At = monitor.MomentOf(l.now)
	switch err := a.propose(ctx, 0, c); {
	case errors.Is(err, state.ErrUnknown):
		return picture.ErrUnknownMaster
	case errors.Is(err, state.ErrExists):
		return picture.ErrDuplicate
	case errors.Is(err, state.ErrStale):
		return picture.ErrInProgress
	case errors.Is(err, state.ErrInvalid):
		return err
	case err != nil:
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	return nil
}

// Parameters of SENTINEL CONFIG.
const (
	announceIP   = "announce-ip"
	announcePort = "announce-port"
)

// Parameters implements resp.Registry: those that were set, or that the file says.
func (a *Agent) Parameters() map[string]string {
	p := map[string]string{
		announceIP: a.cfg.Announce.Host, announcePort: fmt.Sprint(a.cfg.Announce.SentinelPort),
		resolveHostnames: yesNo(a.current().ResolveHostnames), announceHostnames: yesNo(a.current().Announce.Hostnames),
		logLevel: levelWord(a.volume.level()),
	}
	for name, value := range a.rules.own.values.Load().Parameters {
		p[name] = value
	}
	return p
}

// SetParameters implements resp.Registry. They are this agent's own: how others reach it, and how it would log in to Sentinels.
func (a *Agent) SetParameters(_ context.Context, parameters map[string]string) error {
	for name, value := range parameters {
		if !utf8.ValidString(value) {
			return &picture.OptionError{Option: name, Value: value, Err: picture.ErrNotText}
		}
	}
	if err := a.rules.own.setParameters(parameters); err != nil {
		return err
	}
	a.volume.set(a.rules.own.parameter(logLevel))
	a.know(a.machine.State()) // other names may count now
	a.dictate()
	select {
	case a.beside.located <- struct{}{}: // have it registered anew
	default:
	}
	return nil
}

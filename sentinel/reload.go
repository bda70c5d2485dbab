package sentinel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"picket/config"
	"picket/sentinel/picture"
)

// renewal is what became of the configuration since the start.
type renewal struct {
	mu   sync.Mutex // held while another one is taken
	now  atomic.Pointer[config.Config]
	last atomic.Pointer[picture.Reload]
}

// current is the configuration as it counts now. It is immutable.
func (a *Agent) current() *config.Config {
	if now := a.renewal.now.Load(); now != nil {
		return now
	}
	return a.cfg
}

// reloaded is how the last reading of the configuration went.
func (a *Agent) reloaded() picture.Reload {
	if last := a.renewal.last.Load(); last != nil {
		return *last
	}
	return picture.Reload{OK: true, At: a.began}
}

// Reload has the agent go on with another configuration, and tells what is different: what can change while it runs does, at once; the rest after a
// restart. The configuration must have been loaded and checked; it is not changed.
func (a *Agent) Reload(next *config.Config) {
	a.renewal.mu.Lock()
	defer a.renewal.mu.Unlock()
	now, changes := config.Renew(a.current(), next)
	result := picture.Reload{OK: true, At: a.now()}
	for _, c := range changes {
		if c.Effect == config.AfterRestart {
			result.Pending = append(result.Pending, c.Key)
		}
	}
	a.renewal.last.Store(&result)
	a.herald.reloaded(changes)
	if len(changes) == 0 {
		return
	}
	a.renewal.now.Store(now)
	a.rules.take(now.Masters)
	a.volume.follow(now.Log.Level)
	a.volume.set(a.rules.own.parameter(logLevel))
	a.admit(now)
	a.herald.failed(context.Background(), "take over the webhooks", "", a.webhooks.Configure(now.Webhooks))
	if a.joined.Load() {
		a.know(a.machine.State())
	}
	a.poke()
}

// admit has the doors that are open take over who may do what. renewal.mu is held.
func (a *Agent) admit(now *config.Config) {
	if door := a.port.Load(); door != nil {
		err := door.Reload(now.Sentinel, now.Listen.MaxClients)
		a.herald.failed(context.Background(), "take over who may use the Sentinel port", "", err)
	}
	if web := a.web.Load(); web != nil {
		web.Reload(now.HTTP)
	}
}

// Refused notes that a configuration was read again and makes no sense: the former one counts. The reasons go to the log, one line each.
func (a *Agent) Refused(why error) {
	a.renewal.mu.Lock()
	defer a.renewal.mu.Unlock()
	old := a.reloaded()
	a.renewal.last.Store(&picture.Reload{At: a.now(), Error: why.Error(), Pending: old.Pending})
	a.herald.refused(why)
}

// problems are the lines of an error about a configuration.
func problems(err error) []string {
	bad := (*config.Error)(nil)
	if !errors.As(err, &bad) {
		return []string{err.Error()}
	}
	var lines []string
	for _, p := range bad.Problems {
		lines = append(lines, p.String())
	}
	return lines
}

// reloaded tells what is different.
func (h *herald) reloaded(changes []config.Change) {
	h.tell(func() {
		for _, c := range changes {
			if c.Effect == config.AtOnce {
				h.log.Info().Str("key", c.Key).Str("old", c.Old).Str("new", c.New).Msg("the configuration has changed")
				continue
			}
			h.log.Warn().Str("key", c.Key).Str("old", c.Old).Str("new", c.New).Msg("the configuration has changed: " + string(c.Effect))
		}
		h.log.Info().Int("changes", len(changes)).Msg("the configuration was read again")
	})
}

func (h *herald) refused(why error) {
	h.tell(func() {
		for _, line := range problems(why) {
			h.log.Error().Str("problem", line).Msg("the configuration can't be used: the former one counts")
		}
	})
}

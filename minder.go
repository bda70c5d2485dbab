package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"picket/config"
	"picket/config/watch"
	"picket/sentinel"
)

// agent is what the minder minds.
type agent interface {
	Reload(*config.Config)
	Refused(error)
	Alive() bool
}

// minder does for the agent what the process owes to the machine: it reads the configuration again when it has changed or somebody says so (SIGHUP), and
// tells systemd how things are.
type minder struct {
	process
	agent    agent
	lines    *formatter
	log      zerolog.Logger
	watchdog time.Duration // systemd ends the process when it hears nothing for so long; 0: it doesn't
	again    time.Duration // a configuration that was refused is read again after so long: what it names may come later than it
	current  atomic.Pointer[config.Config]
}

const readAgain = 10 * time.Second

func newMinder(cfg *config.Config, p process, a *sentinel.Agent, lines *formatter, log zerolog.Logger) *minder {
	m := &minder{process: p, agent: a, lines: lines, log: log, again: readAgain}
	m.current.Store(cfg)
	var err error
	if m.watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		log.Warn().Err(err).Msg("systemd's watchdog is not served")
	}
	return m
}

// start minds the agent from when it is ready; stop ends that. A SIGHUP before is kept until then.
func (m *minder) start(ready <-chan struct{}) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var running sync.WaitGroup
	if m.watches() {
		files := watch.Files(m.sources)
		running.Go(func() { // ends with ctx
			files.Run(ctx, func() {
				select {
				case hup <- syscall.SIGHUP: // as if somebody had sent it
				default: // one is there already
				}
			})
		})
	}
	running.Go(func() { // ends with ctx
		select {
		case <-ready:
			m.tell(daemon.SdNotifyReady)
			m.mind(ctx, hup)
		case <-ctx.Done():
		}
	})
	return func() {
		signal.Stop(hup)
		cancel()
		running.Wait()
	}
}

// watches says whether the files are read again whenever they change: not where the agent itself writes one of them.
func (m *minder) watches() bool { return m.load != nil && m.current.Load().SentinelConf() == "" }

// sources are the files that the configuration was read from.
func (m *minder) sources() []string { return slices.Concat(m.files, m.current.Load().Files()) }

// mind serves until ctx ends. The watchdog is fed by the same goroutine that reads the configuration, and only while the agent's loops run.
func (m *minder) mind(ctx context.Context, hup <-chan os.Signal) {
	var tick <-chan time.Time
	if m.watchdog > 0 {
		ticker := time.NewTicker(m.watchdog / 3)
		defer ticker.Stop()
		tick = ticker.C
	}
	var refused error // the last one, while that counts
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			refused = m.reload()
			again = m.later(refused)
		case <-again:
			if _, err := m.load(); err == nil || err.Error() != refused.Error() { // else all has been said
				refused = m.reload()
			}
			again = m.later(refused)
		case <-tick:
			if m.agent.Alive() {
				m.tell(daemon.SdNotifyWatchdog)
			}
		}
	}
}

// later is when to read a configuration again that was refused; nil: not unless somebody says so.
func (m *minder) later(refused error) <-chan time.Time {
	if refused == nil || !m.watches() {
		return nil
	}
	return time.After(m.again)
}

// reload reads the configuration again. What is wrong with it changes nothing.
func (m *minder) reload() error {
	if m.load == nil {
		m.log.Warn().Msg("the configuration came from the standard input, and can't be read again; restart the agent")
		return nil
	}
	m.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer m.tell(daemon.SdNotifyReady)
	next, err := m.load()
	if err != nil {
		m.agent.Refused(err)
		return err
	}
	m.current.Store(next)
	m.lines.set(next.Log)
	m.agent.Reload(next)
	return nil
}

// tell tells what started this process how it is, if that wants to know.
func (m *minder) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Warn().Err(err).Str("state", state).Msg("systemd was not told")
	}
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/config/certs"
	"picket/consensus"
	"picket/consensus/session"
	"picket/consensus/tcp"
	"picket/consensus/wal"
	"picket/failover"
	"picket/failover/salvage"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/metrics"
	"picket/sentinel/resp"
	"picket/sentinel/script"
	"picket/sentinel/state"
	"picket/sentinel/trace"
	"picket/sentinel/webhook"
)

// Agent is one sidecar: a member of the group that watches all servers and, when it leads, acts.
type Agent struct {
	cfg      *config.Config // as it was at the start: what counts only after a restart; for all else see current
	renewal  renewal
	host     Host
	version  string
	rules    rules       // for the masters
	identity state.Agent // as the file has it
	beside   beside
	redis    failover.Redis
	names    *monitor.Names
	certs    *certs.Store                      // the files of TLS, for all ports and towards Redis
	asking   chan struct{}                     // holds one element for each client that waits for a name to be resolved
	port     atomic.Pointer[resp.Server]       // nil: it is not open yet
	web      atomic.Pointer[api.Server]        // nil: it is not open, or not wanted
	volume   *volume                           // of the log
	crew     func(consensus.Term) failover.Env // what the runners of a term work with

	machine   *state.Machine
	monitor   *monitor.Monitor
	node      *consensus.Node
	herald    *herald
	peers     *peers
	metrics   *metrics.Metrics
	transport *tcp.Transport
	webhooks  *webhook.Dispatcher
	store     store
	ledger    *ledger
	sidecar   *sidecar
	diary     *diary
	keeper    *salvage.Keeper
	shields   shields
	scripts   *script.Runner
	traces    *trace.Exporter // nil: nobody wants them

	judgement atomic.Pointer[judgement]
	victory   atomic.Pointer[victory]          // nil: none yet
	status    atomic.Pointer[consensus.Status] // as the judge last saw it
	painted   atomic.Pointer[painted]          // the last picture
	members   atomic.Uint64                    // grows with each change of the membership
	bell      *bell                            // rung whenever anything may be different
	wake      chan struct{}                    // wakes the judge
	inbox     chan func(*judge)                // run by the judge
	settled   chan struct{}                    // closed when the judge has ended
	dictated  chan struct{}                    // holds one element when something was set on this agent alone, for the scribe
	electing  chan struct{}                    // holds one element while this agent stands for election
	dismissed chan bool                        // SHUTDOWN was ordered; true: in a hurry
	workers   sync.WaitGroup                   // what the judge started
	fresh     bool                             // the log was empty at the start
	began     time.Time                        // when the configuration was read
	simulated atomic.Uint32                    // failures, for tests: SENTINEL SIMULATE-FAILURE
	joined    atomic.Bool                      // there is a node: peers may be connected a little earlier
}

// inboxLength bounds what waits for the judge.
const inboxLength = 1024

// New makes an agent; nothing runs, and nothing is opened, before Run.
func New(cfg *config.Config, host Host, log zerolog.Logger, version string) (*Agent, error) {
	volume := newVolume(cfg.Log.Level)
	if log.GetLevel() != zerolog.Disabled { // how much is logged is the volume's affair
		log = log.Level(zerolog.DebugLevel)
	}
	log = log.Hook(volume).With().Str("agent", cfg.Agent.ID).Logger()
	a := &Agent{
		volume: volume,
		cfg:    cfg, host: host.withDefaults(), version: version, identity: identity(cfg, rand.Uint64()),
		machine: state.NewMachine(), peers: newPeers(),
		bell: newBell(), wake: make(chan struct{}, 1), inbox: make(chan func(*judge), inboxLength),
		settled: make(chan struct{}), electing: make(chan struct{}, 1), dismissed: make(chan bool, 1), dictated: make(chan struct{}, 1),
		asking: make(chan struct{}, maxAsking),
	}
	a.began = a.now()
	a.rules.known = map[string]setting{}
	a.rules.take(cfg.Masters)
	a.beside.located = make(chan struct{}, 1)
	a.ledger = newLedger(a.now(), cfg.Masters)
	a.sidecar, a.shields = newSidecar(a), newShields()
	a.diary = newDiary()
	a.judgement.Store(&judgement{})
	a.status.Store(&consensus.Status{})
	a.metrics = metrics.New(a, version)
	a.herald = &herald{
		log: log, cluster: cfg.Cluster, self: cfg.Agent.ID, machine: a.machine, metrics: a.metrics,
		queue: make(chan saying, heraldQueue), down: map[config.Addr]bool{}, problems: map[string]string{},
	}
	if a.traces = a.tracer(); a.traces != nil {
		a.herald.metrics = traced{a.metrics, a.traces, cfg.Agent.ID}
	}
	a.scripts = script.NewRunner(script.Config{Report: a.herald.script})
	a.herald.scripts = scripts{a.scripts.Add, a.scripting}
	a.names = monitor.NewNames(monitor.NamesConfig{Lookup: a.host.Lookup, Now: a.now, Allowed: a.resolves})
	dial := a.names.Dial(monitor.Dial(host.watch()))
	a.herald.told = a.told
	a.certs = &certs.Store{Tell: a.herald.file}
	a.redis = failover.NewRedis(failover.RedisConfig{Settings: a.named, Names: a.names, Certs: a.certs, Dial: failover.Dial(dial), Now: a.now})
	a.keeper = salvage.NewKeeper(salvage.Config{
		FS: a.host.FS, Dir: SalvageDir(cfg.Agent.DataDir), MaxBytes: func() int64 { return int64(a.current().Salvage.MaxBytes) }, Settings: a.named,
		Certs: a.certs, Dial: salvage.Dial(dial), Now: a.now,
	})
	if a.shadow() {
		a.redis = failover.ReadOnly(a.redis)
	}
	a.crew = func(t consensus.Term) failover.Env { return crew{a, t} }
	a.monitor = monitor.New(monitor.Config{
		Self: cfg.Agent.ID, Dial: dial, Now: a.now, Names: a.names, Certs: a.certs, Share: a.share, Changed: a.poke, Observe: a.saw,
	})
	var err error
	a.webhooks, err = a.dispatcher()
	return a, err
}

// Check says what is wrong with a configuration that only the agent itself can tell: the rules for users of the Sentinel port, and the
// webhooks' templates. The error is a *config.Error that names the file.
func Check(cfg *config.Config, file string) error {
	var all config.Error
	if bad := (*config.Error)(nil); errors.As(resp.CheckUsers(cfg.Sentinel), &bad) {
		all.Problems = bad.Problems
	}
	for i, w := range cfg.Webhooks {
		if err := webhook.CheckBody(cfg.Cluster, w); err != nil {
			all.Problems = append(all.Problems, config.Problem{
				Key: fmt.Sprintf("webhooks[%d].template", i), Message: err.Error(), Remedy: "docs/webhooks.md tells what a template sees",
			})
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	for i := range all.Problems {
		all.Problems[i].File = file
	}
	return &all
}

// founders are the agents of the file: the members of the group, if none exists yet.
func founders(cfg *config.Config) []consensus.Member {
	var members []consensus.Member
	for _, p := range cfg.Agents {
		members = append(members, consensus.Member{ID: consensus.ServerID(p.ID), Address: string(p.Address), Voter: true})
	}
	return members
}

// Run takes part in the group until ctx ends, a client orders SHUTDOWN, or the agent's disk fails. When it returns, everything is closed.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.join(); err != nil {
		return err
	}
	defer a.node.Stop()
	a.know(a.machine.State())
	doors, err := a.open()
	if err != nil {
		return err
	}
	helping := []func(context.Context){a.scripts.Run}
	if a.traces != nil {
		helping = append(helping, a.traces.Run)
	}
	stopHelping := start(helping...)
	stopTelling := start(a.herald.run)
	stopWatching := start(a.monitor.Run)
	deciding := []func(context.Context){a.decide, a.register, a.enlist, a.scribe}
	if !a.shadow() {
		deciding = append(deciding, a.sidecar.run, a.firewall)
	}
	stopDeciding := start(deciding...)
	a.herald.started(a.version)
	a.host.Ready()
	select {
	case <-ctx.Done():
		a.leave()
		a.handOver()
	case hurried := <-a.dismissed:
		if !hurried {
			a.leave()
		}
		a.handOver()
	case <-a.node.Done():
		if err = a.node.Err(); err != nil {
			err = fmt.Errorf("the agent has stopped: %w", err)
		}
	}
	// In the order in which they need each other.
	err = errors.Join(err, doors.close())
	stopDeciding()
	a.workers.Wait()
	stopWatching()
	err = errors.Join(err, a.redis.Close())
	a.names.Close()
	a.node.Stop()
	stopTelling()
	stopHelping()
	return err
}

// start runs functions, each in a goroutine of its own; stop ends them and waits for them.
func start(functions ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, f := range functions {
		running.Go(func() { f(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// join opens the log and joins the group.
func (a *Agent) join() error {
	id := consensus.ServerID(a.cfg.Agent.ID)
	log, recovered, err := wal.Open(wal.Config{
		FS: a.host.FS, Dir: a.cfg.Agent.DataDir,
		Identity: wal.Identity{Cluster: a.cfg.Cluster, Server: id, Founders: founders(a.cfg)},
	})
	if err != nil {
		return err
	}
	if a.rules.own, err = openOwn(a.host.FS, a.cfg.Agent.DataDir); err != nil {
		return errors.Join(err, log.Close())
	}
	a.volume.set(a.rules.own.parameter(logLevel))
	a.fresh = recovered.Snapshot.Index == 0 && len(recovered.Entries) == 0
	a.herald.last, a.herald.old = uint64(recovered.Snapshot.Index), last(recovered)
	node := consensus.DefaultNodeConfig(id)
	node.Now = a.now
	node.Core.ElectionTimeout = a.cfg.Agent.ElectionTimeout
	node.Core.HeartbeatInterval = a.cfg.Agent.ElectionTimeout / 6
	node.Core.Veto = a.veto
	sessions := session.NewMachine(a.machine)
	node.Disk, node.Recovered, node.StateMachine = timed{log, a.metrics}, recovered, sessions
	node.Connect, node.Observe, node.OnGossip = a.connect, a.observe, a.onGossip
	node.Appended = a.ledger.appended
	a.ledger.appended(recovered.Entries)
	if a.node, err = consensus.Start(node); err != nil {
		return errors.Join(err, log.Close())
	}
	a.store = store{a.machine, a.node, session.NewClient(a.node, sessions)}
	a.joined.Store(true)
	return nil
}

// last is the index of the newest entry that was recovered.
func last(r consensus.Recovered) uint64 {
	if n := len(r.Entries); n > 0 {
		return uint64(r.Entries[n-1].Index)
	}
	return uint64(r.Snapshot.Index)
}

func (a *Agent) connect(receiver consensus.Receiver) (consensus.Transport, error) {
	tls, err := peerTLS(a.cfg.PeerTLS, a.certs)
	if err != nil {
		return nil, err
	}
	known := map[consensus.ServerID]string{}
	for _, p := range a.cfg.Agents {
		known[consensus.ServerID(p.ID)] = string(p.Address)
	}
	transport, err := tcp.Listen(tcp.Config{
		Cluster: a.cfg.Cluster, Self: consensus.ServerID(a.cfg.Agent.ID), Listen: string(a.cfg.Listen.Peers),
		Address: string(a.identity.Peer), Known: known, TLS: tls,
		OpenPort: a.host.Listen, Dial: a.host.Dial, Problem: a.herald.peer,
	}, receiver)
	if err != nil {
		return nil, err
	}
	a.transport = transport
	return transport, nil
}

// doors are what clients and operators talk to.
type doors struct {
	sentinel *resp.Server
	http     *api.Server // nil: not wanted
}

func (a *Agent) open() (doors, error) {
	var d doors
	tls, err := doorTLS(a.cfg, a.certs)
	if err != nil {
		return d, err
	}
	d.sentinel, err = resp.Listen(resp.Config{
		Addr: string(a.cfg.Listen.Sentinel), TLSAddr: string(a.cfg.Listen.SentinelTLS), TLS: tls, OpenPort: onAll(a.host.Listen, a.cfg.Listen.Also),
		Door: a.cfg.Sentinel, Version: a.version, ConfigFile: a.cfg.File(), Backend: a, MaxClients: a.cfg.Listen.MaxClients,
	})
	if err != nil {
		return d, err
	}
	a.port.Store(d.sentinel)
	a.herald.door = func(m ...resp.Message) { d.sentinel.Publish(m...) }
	if a.cfg.Listen.HTTP != "" {
		if tls, err = httpTLS(a.cfg, a.certs); err != nil {
			return d, errors.Join(err, d.sentinel.Close())
		}
		d.http, err = api.Listen(api.Config{
			Addr: string(a.cfg.Listen.HTTP), OpenPort: a.host.Listen, Version: a.version, Cluster: a.cfg.Cluster, History: a.machine, TLS: tls, HTTP: a.cfg.HTTP, Report: a.herald.requested, Backend: a, Group: a, Rails: a, Orders: a, Webhooks: a, Reasons: a, Store: a.store, Metrics: a.metrics.Handler(),
		})
		if err != nil {
			return d, errors.Join(err, d.sentinel.Close())
		}
		a.web.Store(d.http)
	}
	a.renewal.mu.Lock()
	defer a.renewal.mu.Unlock()
	if now := a.current(); now != a.cfg {
		a.admit(now) // it was read again before there were doors
	}
	return d, nil
}

func (d doors) close() error {
	err := d.sentinel.Close()
	if d.http != nil {
		err = errors.Join(err, d.http.Close())
	}
	return err
}

// Shutdown has Run return, as when its context ends. Hurried, the master beside this agent is not handed over before, whatever on-stop says.
func (a *Agent) Shutdown(hurried bool) {
	select {
	case a.dismissed <- hurried:
	default: // it was ordered already
	}
}

// observe hears from the consensus node what happened. It runs in the node's own goroutine.
func (a *Agent) observe(e consensus.Event) {
	defer a.poke()
	switch e.Kind {
	case consensus.EventMembers:
		a.peers.follow(e.Members)
		a.members.Add(1)
	case consensus.EventConnected, consensus.EventDisconnected:
		if !a.peers.reach(e.Peer, e.Kind == consensus.EventConnected) {
			return
		}
		if e.Kind == consensus.EventDisconnected {
			a.offer(func(j *judge) { j.agenda.released(e.Peer) })
		}
	case consensus.EventLeader:
		a.metrics.Leader()
		a.offer(func(j *judge) { j.agenda.leads(e.Peer) })
		if e.Peer != consensus.ServerID(a.cfg.Agent.ID) {
			a.stands(e.Peer, electedFor(e.Reason), won, beginTimeout)
		}
	case consensus.EventLeaderLost:
		a.offer(func(j *judge) { j.agenda.leads("") })
	case consensus.EventVoteRefused:
		a.offer(func(j *judge) { j.agenda.refused(e.Peer) })
	case consensus.EventVoted:
		switch {
		case e.Peer != consensus.ServerID(a.cfg.Agent.ID):
			a.stands(e.Peer, electedFor(e.Reason), voted, a.cfg.Agent.ElectionTimeout)
		case len(e.Reason) > 0: // the others learn it before this agent's disk does, and by that the request that waits for the disk
			a.say(a.status.Load(), gossip{Stands: e.Reason})
		}
	}
	a.herald.consensus(e)
}

// veto refuses a vote for the failover of a master that is known here to live, or whose agent was promised to wait. It runs in the node's own goroutine.
func (a *Agent) veto(_ consensus.ServerID, data []byte) string {
	r, err := decodeReason(data)
	if err != nil {
		return err.Error()
	}
	if r.purpose != forDown {
		return ""
	}
	judged := a.judgement.Load().masters
	for _, name := range r.masters {
		if life := judged[name].verdict.Life; len(life) > 0 {
			return fmt.Sprintf("%s lives: %s %s", name, life[0].Replica, life[0].Text)
		}
	}
	return a.voting(r.masters)
}

// now is this agent's clock.
func (a *Agent) now() time.Time { return a.host.Now() }

// poke wakes the judge.
func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default: // it is awake already
	}
}

// post has the judge run f; when the judge has ended, nobody does.
func (a *Agent) post(f func(*judge)) {
	select {
	case a.inbox <- f:
	case <-a.settled:
	}
}

// offer is post for callers that must not block. What is lost when the judge is far behind only delays it.
func (a *Agent) offer(f func(*judge)) {
	select {
	case a.inbox <- f:
	default:
	}
}

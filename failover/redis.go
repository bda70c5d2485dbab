package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/config/certs"
	"picket/monitor"
)

// A replica is detached by having it follow an address at which nobody listens. It keeps its history, so that a later partial
// resync works, and refused connections cost it nothing.
const (
	silentHost = "127.0.0.1"
	silentPort = 1
)

// Silent is the address that detached replicas follow.
var Silent = config.NewAddr(silentHost, silentPort)

// Redis does actions to servers.
type Redis interface {
	// Do carries out one action on a server of the named master's group and returns what the server said afterwards, where
	// the action reads it. A remark is something that did not work but does not matter enough to fail.
	Do(ctx context.Context, master string, a Action) (o *monitor.Observation, remark string, err error)
	// Close lets go of all connections.
	Close() error
}

// Dial makes a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// servers is Redis over go-redis: one small client for each server, kept for the next time.
type servers struct {
	cfg RedisConfig

	mu      sync.Mutex
	clients map[clientKey]client
	strays  sync.WaitGroup // actions that nobody may be waiting for any more
}

type clientKey struct {
	master string
	server config.Addr
}

// client is a connection pool, and of what it was made.
type client struct {
	*redis.Client
	settings *config.Master
	ips      []netip.Addr // of the server; none: not known then
}

// RedisConfig says how servers are reached.
type RedisConfig struct {
	Settings func(master string) *config.Master // its credentials are used; nil for a master that is not known
	Names    *monitor.Names                     // nil: each address means another server
	Certs    *certs.Store                       // of TLS; may be nil
	Dial     Dial                               // nil: over the machine's network
	Now      func() time.Time                   // what is seen is dated by it
}

// NewRedis talks to the servers of masters.
func NewRedis(cfg RedisConfig) Redis { return &servers{cfg: cfg, clients: map[clientKey]client{}} }

func (s *servers) client(master string, server config.Addr) (*redis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := clientKey{master, server}
	settings := s.cfg.Settings(master)
	known, found := s.clients[key]
	ips := s.cfg.Names.IPs(server.Host())
	if found && sameWay(known.settings, settings) && !moved(known.ips, ips) {
		return known.Client, nil
	}
	if found { // there is another password, or another server at the old IP address
		_ = known.Close() // its connections are of no use any more
		delete(s.clients, key)
	}
	if settings == nil {
		return nil, fmt.Errorf("no master %q is known to this agent", master)
	}
	opts, err := monitor.RedisOptions(settings, server, s.cfg.Certs)
	if err != nil {
		return nil, err
	}
	opts.Dialer = s.cfg.Dial
	opts.PoolSize = 2
	opts.ClientName = "picket-failover"
	opts.DialTimeout = time.Second
	opts.ConnMaxIdleTime = time.Minute
	c := monitor.NewClient(settings, opts)
	s.clients[key] = client{c, settings, ips}
	return c, nil
}

// sameWay says whether servers are reached as before. Other settings may change in the middle of a failover, whose connections must not break by that.
func sameWay(was, is *config.Master) bool {
	return was == is || was != nil && is != nil && was.Username == is.Username && was.Password == is.Password && was.TLS == is.TLS &&
		slices.Equal(was.RenameCommands, is.RenameCommands)
}

// moved says whether a server is at none of the IP addresses any more at which it was.
func moved(was, is []netip.Addr) bool {
	return len(was) > 0 && len(is) > 0 && !slices.ContainsFunc(is, func(ip netip.Addr) bool { return slices.Contains(was, ip) })
}

// discard gives a client up that could not connect: it would repeat the error for up to a second without another try, and a server that
// has just been started must be fenced at once.
func (s *servers) discard(key clientKey, err error) {
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, found := s.clients[key]; found {
		_ = c.Close() // it has no connection
		delete(s.clients, key)
	}
}

func (s *servers) Close() error {
	s.strays.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for key, c := range s.clients {
		errs = append(errs, c.Close())
		delete(s.clients, key)
	}
	return errors.Join(errs...)
}

// staleTries bounds how many connections one after the other may turn out to be closed.
const staleTries = 8

// outcome is what came of an action.
type outcome struct {
	o      *monitor.Observation
	remark string
	err    error
}

// Do implements Redis. The client library heeds only deadlines: who gives an action up does not wait for a server that hangs.
func (s *servers) Do(ctx context.Context, master string, a Action) (o *monitor.Observation, remark string, err error) {
	done := make(chan outcome, 1)
	s.strays.Go(func() { // ends at the deadline at the latest
		o, remark, err := s.try(ctx, master, a)
		done <- outcome{o, remark, err}
	})
	select {
	case came := <-done:
		return came.o, came.remark, came.err
	case <-ctx.Done():
		return nil, "", fmt.Errorf("%s %s: %w", a.Kind, a.Server, ctx.Err())
	}
}

// try carries an action out. A connection of the pool may have been closed by the server long ago, as those of all clients are when it is fenced, and in
// a partition nobody could tell: then the next one is tried at once. Every action may be carried out twice.
func (s *servers) try(ctx context.Context, master string, a Action) (o *monitor.Observation, remark string, err error) {
	for range staleTries {
		if o, remark, err = s.once(ctx, master, a); err == nil || ctx.Err() != nil || !closed(err) {
			break
		}
	}
	return o, remark, err
}

// closed says whether an error is that of a connection which the other side has closed.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (s *servers) once(ctx context.Context, master string, a Action) (*monitor.Observation, string, error) {
	c, err := s.client(master, a.Server)
	if err != nil {
		return nil, "", err
	}
	var o *monitor.Observation
	var remark string
	switch a.Kind {
	case Cut:
		if planted(CutSkipped) {
			o, err = commandAndInfo(ctx, c, a.Server, nothing)
			break
		}
		o, err = commandAndInfo(ctx, c, a.Server, command("REPLICAOF", silentHost, strconv.Itoa(silentPort)))
	case Read:
		o, err = commandAndInfo(ctx, c, a.Server, nothing)
	case Hold:
		o, err = hold(ctx, c, a)
	case Fence:
		o, err = fence(ctx, c, a)
	case BlindFence:
		err = s.blindFence(ctx, master, a)
	case Unfence:
		o, err = unfence(ctx, c, a.Server)
	case Release:
		err = letGo(ctx, c)
	case HandOver:
		err = s.handOver(ctx, c, a)
	case Recall:
		err = recall(ctx, c)
	case Promote:
		o, remark, err = promote(ctx, c, a)
	case Follow:
		o, remark, err = s.follow(ctx, c, master, a)
	case Persist:
		remark = persist(ctx, c)
	}
	if err != nil {
		s.discard(clientKey{master, a.Server}, err)
		return nil, remark, fmt.Errorf("%s %s: %w", a.Kind, a.Server, err)
	}
	if o != nil {
		o.At = s.cfg.Now()
		s.cfg.Names.Name(o)
	}
	return o, remark, nil
}

func (k ActionKind) String() string {
	return map[ActionKind]string{
		Cut: "detach", Read: "read", Promote: "promote", Follow: "re-point", Hold: "hold the writers of", Release: "release the writers of",
		Fence: "fence", BlindFence: "leave a fence for", Unfence: "take the fence from",
		Persist: "write down the role of", HandOver: "hand over", Recall: "end the hand-over of",
	}[k]
}

// nothing is no command.
func nothing(redis.Pipeliner) {}

// command is one.
func command(words ...any) func(redis.Pipeliner) {
	return func(pipe redis.Pipeliner) { pipe.Do(context.Background(), words...) } // the pipeline's own context bounds it
}

// commandAndInfo sends commands, if any, and asks for INFO and the fence in the same round trip.
func commandAndInfo(ctx context.Context, c *redis.Client, server config.Addr, send func(redis.Pipeliner)) (*monitor.Observation, error) {
	pipe := c.Pipeline()
	send(pipe)
	info, fence := pipe.Info(ctx), pipe.ConfigGet(ctx, minReplicas)
	commands, err := pipe.Exec(ctx)
	for _, sent := range commands[:max(0, len(commands)-1)] { // a fence that may not be asked for is not known
		if sent.Err() != nil {
			return nil, sent.Err()
		}
	}
	if err != nil && (fence.Err() == nil || !isReply(err)) { // also a log-in that was refused, before any of the commands
		return nil, err
	}
	o, err := parse(server, info)
	if err == nil {
		o.Fence = monitor.FenceOf(fence)
	}
	return o, err
}

// isReply says whether an error is a server's word, not a broken connection.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// parse leaves it to the caller to date the observation.
func parse(server config.Addr, info *redis.StringCmd) (*monitor.Observation, error) {
	if info.Err() != nil {
		return nil, info.Err()
	}
	o, err := monitor.ParseInfo(server, time.Time{}, info.Val())
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// follow has a server follow its master, if that is still the process that is meant. What came before may have taken seconds, and one that was started
// in its place meanwhile may be empty.
func (s *servers) follow(ctx context.Context, c *redis.Client, master string, a Action) (*monitor.Observation, string, error) {
	if a.RunID != "" {
		is, _, err := s.Do(ctx, master, Action{Kind: Read, Server: a.Master})
		if err != nil {
			return nil, "", err
		}
		if is.RunID != a.RunID {
			return nil, "", fmt.Errorf("%s was restarted", a.Master)
		}
	}
	o, remark, err := transform(ctx, c, a.Server, a.Master.Host(), strconv.Itoa(a.Master.Port()))
	if err != nil {
		return nil, remark, err
	}
	return o, cmp.Or(persist(ctx, c), remark), nil
}

// promote makes a master of the process that is meant. One that was started in its place may be empty, and nobody may have seen it yet, so it is
// looked at just before.
func promote(ctx context.Context, c *redis.Client, a Action) (*monitor.Observation, string, error) {
	is, err := commandAndInfo(ctx, c, a.Server, nothing)
	if err != nil {
		return nil, "", err
	}
	if is.RunID != a.RunID {
		return nil, "", errors.New("it was restarted")
	}
	o, remark, err := transform(ctx, c, a.Server, "NO", "ONE")
	if err == nil && o.Role != "master" {
		err = errors.New("it still says that it is a replica")
	}
	return o, remark, err
}

// transform changes whom a server follows, takes its fence away, and disconnects its clients, so that they look for their master anew.
// It waits for no disk, because clients may wait for it. The fence goes when the server has said yes: one that loads its data, or that may not be told,
// stays a master, and would take writes.
func transform(ctx context.Context, c *redis.Client, server config.Addr, host, port string) (*monitor.Observation, string, error) {
	// One that hangs would find the command when it wakes up, when this has long been given up: it is asked for a sign of life first.
	if err := c.Ping(ctx).Err(); err != nil && !isReply(err) {
		return nil, "", err
	}
	o, err := commandAndInfo(ctx, c, server, command("REPLICAOF", host, port))
	if err != nil {
		return nil, "", err
	}
	if _, _, fenced := Fenced(o.Fence); fenced {
		if o, err = unfence(ctx, c, server); err != nil {
			return nil, "", err
		}
	}
	if o.Role == "slave" {
		// Writers that were held for a hand-over are told that this is a replica, so that they know that nothing was written; then they are
		// disconnected.
		_ = letGo(ctx, c) // the pause runs out
	}
	if err := disconnectClients(ctx, c); err != nil && !isReply(err) {
		return nil, "", err
	} else if err != nil {
		return o, fmt.Sprintf("its clients stay connected (%v)", err), nil
	}
	return o, "", nil
}

// persist has a server write its role to its configuration file. That it can't is a remark, not a failure: it may have none.
func persist(ctx context.Context, c *redis.Client) (remark string) {
	err := c.ConfigRewrite(ctx).Err()
	if err != nil && !isReply(err) {
		err = c.ConfigRewrite(ctx).Err() // the connection may have been among those that were just closed
	}
	if err != nil {
		return fmt.Sprintf("its configuration file was not rewritten (%v), and after a restart it will not know its role", err)
	}
	return ""
}

// handOver has a master give its office to a replica by its own means.
func (s *servers) handOver(ctx context.Context, c *redis.Client, a Action) error {
	order := func(to config.Addr) error {
		return c.Do(ctx, "FAILOVER", "TO", to.Host(), to.Port(), "TIMEOUT", a.For.Milliseconds()).Err()
	}
	err := order(a.Master)
	if err != nil && strings.Contains(err.Error(), "is not a replica") {
		if listed := s.listed(ctx, c, a); listed != "" {
			err = order(listed)
		}
	}
	if err != nil && (strings.Contains(err.Error(), "already in progress") || strings.Contains(err.Error(), "server is a replica")) {
		return nil // it was ordered before, perhaps by an earlier leader; what came of it shows in INFO
	}
	return err
}

// listed is the address by which a master lists the replica that it is to hand over to, where that is another one than the group's; empty: it is not.
func (s *servers) listed(ctx context.Context, c *redis.Client, a Action) config.Addr {
	o, err := parse(a.Server, c.Info(ctx))
	if err != nil {
		return ""
	}
	for _, r := range o.Replicas {
		if r.Server != a.Master && s.cfg.Names.Known(r.Server) == a.Master {
			return r.Server
		}
	}
	return ""
}

// recall ends a hand-over that may be under way.
func recall(ctx context.Context, c *redis.Client) error {
	err := c.Do(ctx, "FAILOVER", "ABORT").Err()
	if err != nil && strings.Contains(err.Error(), "No failover in progress") {
		return nil
	}
	return err
}

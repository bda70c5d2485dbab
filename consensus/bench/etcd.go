package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// etcdCluster is etcd/raft with what it leaves to its user: a log file, a transport, and the goroutines that its documentation draws.
type etcdCluster struct {
	dir    string
	addrs  []string
	stores []*raft.MemoryStorage // outlive a node's restart: its recovery is not what is measured

	mu     sync.RWMutex
	nodes  []*etcdNode
	counts []*counter
}

type etcdNode struct {
	c       *etcdCluster
	id      uint64 // from 1
	raft    *raft.RawNode
	storage *raft.MemoryStorage
	file    *os.File
	size    int64
	count   *counter

	inbox     chan *pb.Message
	proposals chan *etcdProposal
	appends   chan *pb.Message
	applies   chan *pb.Message
	peers     map[uint64]chan *pb.Message
	listener  net.Listener
	leads     atomic.Bool
	ids       atomic.Uint64
	ctx       context.Context // ends with the node
	halt      context.CancelFunc
	workers   sync.WaitGroup

	mu      sync.Mutex
	waiting map[uint64]chan error
}

type etcdProposal struct {
	data   []byte
	failed chan error
}

const (
	tick          = 10 * time.Millisecond
	segmentBytes  = 64 << 20
	queue         = 4096
	proposalBytes = 8 // the id before each command
)

func startEtcd(dir string, n int) (cluster, error) {
	c := &etcdCluster{dir: dir, nodes: make([]*etcdNode, n), counts: make([]*counter, n)}
	var voters []uint64
	for i := range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		c.addrs, voters = append(c.addrs, addr), append(voters, uint64(i+1))
	}
	for range n {
		s := raft.NewMemoryStorage()
		snapshot := &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: proto.Uint64(1), Term: proto.Uint64(1), ConfState: &pb.ConfState{Voters: voters}}}
		if err := s.ApplySnapshot(snapshot); err != nil {
			return nil, err
		}
		c.stores = append(c.stores, s)
	}
	for i := range n {
		if err := c.start(i); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *etcdCluster) start(i int) error {
	id := uint64(i + 1)
	n := &etcdNode{
		c: c, id: id, storage: c.stores[i], count: &counter{}, waiting: map[uint64]chan error{},
		inbox: make(chan *pb.Message, queue), proposals: make(chan *etcdProposal, queue),
		appends: make(chan *pb.Message, queue), applies: make(chan *pb.Message, queue), peers: map[uint64]chan *pb.Message{},
	}
	node, err := raft.NewRawNode(&raft.Config{
		ID: id, ElectionTick: int(electionTimeout / tick), HeartbeatTick: int(heartbeatInterval / tick), Storage: n.storage,
		MaxSizePerMsg: 256 << 10, MaxInflightMsgs: 256, CheckQuorum: true, PreVote: true, AsyncStorageWrites: true,
		Logger: silent{}, Applied: 1,
	})
	if err != nil {
		return err
	}
	n.raft = node
	if n.file, err = os.OpenFile(filepath.Join(c.dir, fmt.Sprint("log", id)), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if n.listener, err = net.Listen("tcp", c.addrs[i]); err != nil {
		return errors.Join(err, n.file.Close())
	}
	n.ctx, n.halt = context.WithCancel(context.Background())
	for j := range c.addrs {
		if j != i {
			out := make(chan *pb.Message, queue)
			n.peers[uint64(j+1)] = out
			n.workers.Go(func() { n.sendTo(c.addrs[j], out) })
		}
	}
	n.workers.Go(n.accept)
	n.workers.Go(n.run)
	n.workers.Go(n.appendLoop)
	n.workers.Go(n.applyLoop)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i], c.counts[i] = n, n.count
	return nil
}

// run owns the core, as the documentation draws it.
func (n *etcdNode) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-ticker.C:
			n.raft.Tick()
		case m := <-n.inbox:
			_ = n.raft.Step(m) // what makes no sense is dropped
			for range len(n.inbox) {
				_ = n.raft.Step(<-n.inbox)
			}
		case p := <-n.proposals:
			n.proposeAll(p)
		}
		for n.raft.HasReady() {
			rd := n.raft.Ready()
			if rd.SoftState != nil {
				n.leads.Store(rd.SoftState.RaftState == raft.StateLeader)
			}
			for _, m := range rd.Messages {
				n.route(m)
			}
		}
	}
}

func (n *etcdNode) proposeAll(first *etcdProposal) {
	batch := []*etcdProposal{first}
	for range len(n.proposals) {
		batch = append(batch, <-n.proposals)
	}
	for _, p := range batch {
		if err := n.raft.Propose(p.data); err != nil {
			p.failed <- err
		}
	}
}

func (n *etcdNode) route(m *pb.Message) {
	var to chan *pb.Message
	switch m.GetTo() {
	case raft.LocalAppendThread:
		to = n.appends
	case raft.LocalApplyThread:
		to = n.applies
	case n.id:
		to = n.inbox
	default:
		select {
		case n.peers[m.GetTo()] <- m:
		default: // lost, as on a network
		}
		return
	}
	select {
	case to <- m:
	case <-n.ctx.Done():
	}
}

// appendLoop makes everything that waits durable with one sync.
func (n *etcdNode) appendLoop() {
	for {
		var batch []*pb.Message
		select {
		case <-n.ctx.Done():
			return
		case m := <-n.appends:
			batch = append(batch, m)
		}
		for range len(n.appends) {
			batch = append(batch, <-n.appends)
		}
		if err := n.persist(batch); err != nil {
			panic(err) // a benchmark is over when a disk fails
		}
		for _, m := range batch {
			for _, r := range m.GetResponses() {
				n.route(r)
			}
		}
	}
}

func (n *etcdNode) persist(batch []*pb.Message) error {
	var buf []byte
	for _, m := range batch {
		if m.Term != nil {
			hard := &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
			if err := n.storage.SetHardState(hard); err != nil {
				return err
			}
			buf = frame(buf, hard)
		}
		for _, e := range m.GetEntries() {
			buf = frame(buf, e)
		}
		if err := n.storage.Append(m.GetEntries()); err != nil {
			return err
		}
	}
	if len(buf) == 0 {
		return nil
	}
	if n.size%segmentBytes+int64(len(buf)) > segmentBytes || n.size == 0 {
		start := (n.size + segmentBytes - 1) / segmentBytes * segmentBytes
		if err := unix.Fallocate(int(n.file.Fd()), 0, start, segmentBytes); err != nil {
			return err
		}
		n.size = start
	}
	if _, err := n.file.WriteAt(buf, n.size); err != nil {
		return err
	}
	n.size += int64(len(buf))
	return unix.Fdatasync(int(n.file.Fd()))
}

// frame appends a message with length and checksum before it.
func frame(buf []byte, m proto.Message) []byte {
	at := len(buf)
	buf = append(buf, make([]byte, 8)...)
	buf, err := proto.MarshalOptions{}.MarshalAppend(buf, m)
	if err != nil {
		panic(err) // our own messages can be encoded
	}
	payload := buf[at+8:]
	binary.LittleEndian.PutUint32(buf[at:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(buf[at+4:], crc32.ChecksumIEEE(payload))
	return buf
}

func (n *etcdNode) applyLoop() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case m := <-n.applies:
			for _, e := range m.GetEntries() {
				if len(e.GetData()) < proposalBytes {
					continue
				}
				n.count.Add(1)
				n.answer(binary.LittleEndian.Uint64(e.GetData()), nil)
			}
			for _, r := range m.GetResponses() {
				n.route(r)
			}
		}
	}
}

func (n *etcdNode) answer(id uint64, err error) {
	n.mu.Lock()
	waiting := n.waiting[id]
	delete(n.waiting, id)
	n.mu.Unlock()
	if waiting != nil {
		waiting <- err
	}
}

func (n *etcdNode) propose(ctx context.Context, command []byte) error {
	id := n.id<<48 | n.ids.Add(1)
	data := append(binary.LittleEndian.AppendUint64(make([]byte, 0, len(command)+proposalBytes), id), command...)
	done := make(chan error, 2)
	n.mu.Lock()
	n.waiting[id] = done
	n.mu.Unlock()
	select {
	case n.proposals <- &etcdProposal{data, done}:
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		n.answer(id, ctx.Err())
		return ctx.Err()
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
}

// sendTo keeps a connection and writes what waits in one go.
func (n *etcdNode) sendTo(addr string, out <-chan *pb.Message) {
	for n.ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(n.ctx, "tcp", addr)
		if err != nil {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-n.ctx.Done():
			}
			for range len(out) {
				<-out
			}
			continue
		}
		stop := context.AfterFunc(n.ctx, func() { _ = conn.Close() })
		n.pump(conn, out)
		stop()
		_ = conn.Close()
	}
}

func (n *etcdNode) pump(conn net.Conn, out <-chan *pb.Message) {
	w := bufio.NewWriterSize(conn, 64<<10)
	var buf []byte
	for {
		var m *pb.Message
		select {
		case m = <-out:
		case <-n.ctx.Done():
			return
		}
		for more := true; more; {
			buf = frame(buf[:0], m)
			if _, err := w.Write(buf); err != nil {
				return
			}
			select {
			case m = <-out:
			default:
				more = false
			}
		}
		if w.Flush() != nil {
			return
		}
	}
}

func (n *etcdNode) accept() {
	stop := context.AfterFunc(n.ctx, func() { _ = n.listener.Close() })
	defer stop()
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.workers.Go(func() { n.receive(conn) })
	}
}

func (n *etcdNode) receive(conn net.Conn) {
	stop := context.AfterFunc(n.ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var header [8]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return
		}
		payload := make([]byte, binary.LittleEndian.Uint32(header[:]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		m := &pb.Message{}
		if err := proto.Unmarshal(payload, m); err != nil {
			return
		}
		select {
		case n.inbox <- m:
		case <-n.ctx.Done():
			return
		}
	}
}

func (c *etcdCluster) node(i int) *etcdNode {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[i]
}

func (c *etcdCluster) leader() int {
	for i := range c.addrs {
		if n := c.node(i); n != nil && n.leads.Load() {
			return i
		}
	}
	return -1
}

func (c *etcdCluster) propose(ctx context.Context, leader int, command []byte) error {
	return c.node(leader).propose(ctx, command)
}

func (c *etcdCluster) stop(i int) error {
	n := c.node(i)
	if n == nil {
		return nil
	}
	c.mu.Lock()
	c.nodes[i] = nil
	c.mu.Unlock()
	n.halt()
	n.workers.Wait()
	return n.file.Close()
}

func (c *etcdCluster) applied(i int) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.counts[i].Load()
}

func (c *etcdCluster) close() (err error) {
	for i := range c.addrs {
		err = errors.Join(err, c.stop(i))
	}
	return err
}

// silent is a logger.
type silent struct{}

func (silent) Debug(...any)            {}
func (silent) Debugf(string, ...any)   {}
func (silent) Error(...any)            {}
func (silent) Errorf(string, ...any)   {}
func (silent) Info(...any)             {}
func (silent) Infof(string, ...any)    {}
func (silent) Warning(...any)          {}
func (silent) Warningf(string, ...any) {}
func (silent) Fatal(v ...any)          { panic(fmt.Sprint(v...)) }
func (silent) Fatalf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
func (silent) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (silent) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }

package resp

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"picket/sentinel/resp/glob"
)

// Message is one event for subscribers.
type Message struct{ Channel, Payload string }

// kind is how a subscription names its channels.
type kind uint8

const (
	byName kind = iota
	byPattern
)

// word is the name of a command or frame for this kind.
func (k kind) word(s string) string {
	if k == byPattern {
		return "p" + s
	}
	return s
}

// maxTopics bounds what one client subscribes to: the bytes of the names, and topicCost for each.
const (
	maxTopics = 64 << 10
	topicCost = 64
)

// topics are what one client subscribes to.
type topics struct {
	names [2]map[string]int64 // by kind; the value is the place in the order in which they came
	last  int64               // place
	cost  int
}

// inOrder lists the names of a kind as they came.
func (t *topics) inOrder(k kind) []string {
	return slices.SortedFunc(maps.Keys(t.names[k]), func(a, b string) int { return cmp.Compare(t.names[k][a], t.names[k][b]) })
}

func (t *topics) has(k kind, name string) bool {
	_, known := t.names[k][name]
	return known
}

func (t *topics) count() int64 { return int64(len(t.names[byName]) + len(t.names[byPattern])) }

// hub knows who subscribes to what. Its lock is held while a confirmation is put into the outbox, so that no
// event comes before the confirmation of its subscription, nor after that of its end.
type hub struct {
	mu          sync.Mutex
	subscribers [2]map[string]map[*client]bool // by kind, by name
}

func newHub() *hub {
	return &hub{subscribers: [2]map[string]map[*client]bool{{}, {}}}
}

// publish hands messages to their subscribers, in order. It doesn't wait for any: who is too far behind is
// disconnected.
func (h *hub) publish(messages []Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		deliver(h.subscribers[byName][m.Channel], "message", m.Channel, m.Payload)
		for pattern, clients := range h.subscribers[byPattern] {
			if glob.Match(pattern, m.Channel) {
				deliver(clients, "pmessage", pattern, m.Channel, m.Payload)
			}
		}
	}
}

// share is how many subscribers one goroutine serves. What an event costs is mostly the kernel's work for each of them.
const share = 256

// deliver returns when all subscribers have been sent the event, or it waits for them.
func deliver(clients map[*client]bool, frame ...string) {
	var encoded [2][]byte // RESP2, RESP3
	for version := range encoded {
		r := reply{resp3: version == 1}
		r.push(len(frame))
		for _, s := range frame {
			r.bulk(s)
		}
		encoded[version] = r.buf
	}
	var serving sync.WaitGroup
	for some := range slices.Chunk(slices.Collect(maps.Keys(clients)), share) {
		serving.Go(func() { // ends with its share: nobody is waited for
			for _, c := range some {
				c.tell(encoded)
			}
		})
	}
	serving.Wait()
}

// tell gives a client an event, in its version of the protocol. Who is too far behind is disconnected.
func (c *client) tell(encoded [2][]byte) {
	event := encoded[0]
	if c.reply.resp3 {
		event = encoded[1]
	}
	if !c.out.publish(event) {
		c.disconnect()
	}
}

// subscribe adds subscriptions and confirms each; false: they would be too many.
func (h *hub) subscribe(c *client, k kind, names []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	cost := c.topics.cost
	for _, name := range names {
		cost += topicCost + len(name)
	}
	if cost > maxTopics {
		return false
	}
	for _, name := range names {
		h.add(c, k, name)
		c.confirm(k.word("subscribe"), name)
	}
	c.send()
	return true
}

func (h *hub) add(c *client, k kind, name string) {
	if c.topics.has(k, name) {
		return
	}
	if c.topics.names[k] == nil {
		c.topics.names[k] = map[string]int64{}
	}
	c.topics.last++
	c.topics.names[k][name] = c.topics.last
	c.topics.cost += topicCost + len(name)
	if h.subscribers[k][name] == nil {
		h.subscribers[k][name] = map[*client]bool{}
	}
	h.subscribers[k][name][c] = true
}

// unsubscribe ends subscriptions, all of the kind if none is named, and confirms each.
func (h *hub) unsubscribe(c *client, k kind, names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(names) == 0 {
		names = c.topics.inOrder(k)
	}
	for _, name := range names {
		h.remove(c, k, name)
		c.confirm(k.word("unsubscribe"), name)
	}
	if len(names) == 0 {
		c.reply.push(3)
		c.reply.bulk(k.word("unsubscribe"))
		c.reply.null()
		c.reply.integer(c.topics.count())
	}
	c.send()
}

func (h *hub) remove(c *client, k kind, name string) {
	if !c.topics.has(k, name) {
		return
	}
	delete(c.topics.names[k], name)
	c.topics.cost -= topicCost + len(name)
	delete(h.subscribers[k][name], c)
	if len(h.subscribers[k][name]) == 0 {
		delete(h.subscribers[k], name)
	}
}

// leave ends all subscriptions of a client, without a word.
func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range c.topics.names {
		for name := range c.topics.names[k] {
			h.remove(c, kind(k), name)
		}
	}
}

// speak sets a client's version of the protocol. No event in the new one comes before the answer.
func (h *hub) speak(c *client, resp3 bool, answer func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.reply.resp3 = resp3
	answer()
	c.answer()
}

// subscriptions are what can be seen of a client's from outside.
type subscriptions struct {
	channels, patterns int
	resp3              bool
}

func (s subscriptions) count() int { return s.channels + s.patterns }

// look is for others than the client itself.
func (h *hub) look(c *client) subscriptions {
	h.mu.Lock()
	defer h.mu.Unlock()
	return subscriptions{len(c.topics.names[byName]), len(c.topics.names[byPattern]), c.reply.resp3}
}

// topics lists what a client subscribes to.
func (h *hub) topics(c *client) (channels, patterns []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return c.topics.inOrder(byName), c.topics.inOrder(byPattern)
}

// counts says how many channels and patterns somebody subscribes to.
func (h *hub) counts() (channels, patterns int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers[byName]), len(h.subscribers[byPattern])
}

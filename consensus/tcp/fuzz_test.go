package tcp

import (
	"bufio"
	"bytes"
	"io"
	"reflect"
	"runtime"
	"testing"
	"testing/iotest"

	"picket/consensus"
)

func FuzzHandshake(f *testing.F) {
	greeting := hello{"c", "a", "b", "10.0.0.1:7"}.encode()
	f.Add(appendFrame(nil, greeting))
	f.Add(appendFrame(nil, append(bytes.Clone(greeting), 0)))
	f.Add(appendFrame(nil, []byte(magic+"\xff")))
	f.Add(appendFrame(nil, append([]byte(magic+"\xff"), make([]byte, 255)...))) // a length is a byte: sums with it must not be
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, err := readFrame(bufio.NewReader(bytes.NewReader(data)), nil, maxHello)
		if err != nil {
			return
		}
		if len(payload) > maxHello || !bytes.HasPrefix(data, appendFrame(nil, payload)) {
			t.Fatalf("%q holds the frame %q", data, payload)
		}
		if h, err := decodeHello(payload); err == nil && !bytes.Equal(h.encode(), payload) {
			t.Fatalf("%q decodes to %+v", payload, h)
		}
	})
}

// FuzzReceive is a peer that sends anything: what arrives is from that peer and to this server, does not
// depend on how the network cuts the stream, and costs no more memory than was sent.
func FuzzReceive(f *testing.F) {
	var stream []byte
	for _, body := range []consensus.Body{&consensus.Gossip{Data: []byte("x")}, &consensus.AppendRequest{Entries: []consensus.Entry{{Index: 1}}}} {
		data, err := consensus.EncodeMessage(nil, &consensus.Message{From: "b", To: "a", Term: 1, Body: body})
		if err != nil {
			f.Fatal(err)
		}
		stream = appendFrame(stream, data)
	}
	f.Add(stream)
	f.Add(stream[:len(stream)-1])
	f.Add(append(bytes.Clone(stream), 0, 0x7f, 0xff, 0xff, 1, 2))
	f.Add(bytes.Replace(stream, []byte("b"), []byte("c"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		whole, err := receiveAll(bytes.NewReader(data))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(200*len(data)+16<<20) {
			t.Fatalf("%d bytes made for %d in memory", len(data), used)
		}
		pieces, err2 := receiveAll(iotest.OneByteReader(bytes.NewReader(data)))
		if !reflect.DeepEqual(whole, pieces) || err.Error() != err2.Error() {
			t.Fatalf("%x is %v (%v) in one piece and %v (%v) in many", data, whole, err, pieces, err2)
		}
		for _, m := range whole {
			if m.From != "b" || m.To != "a" {
				t.Fatalf("a message from %q to %q arrives", m.From, m.To)
			}
		}
	})
}

// receiveAll reads a connection of "b" to its end.
func receiveAll(conn io.Reader) ([]consensus.Message, error) {
	ear := newEar()
	tr := &Transport{cfg: Config{Self: "a"}, receiver: ear}
	err := tr.receive(bufio.NewReaderSize(conn, bufferBytes), "b")
	return ear.messages, err
}

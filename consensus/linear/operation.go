package linear

import "fmt"

// Kind says what an operation does.
type Kind uint8

const (
	Get    Kind = iota
	Put         // writes Value
	CAS         // writes Value if the key holds Expect
	Delete      // removes the key
)

func (k Kind) String() string { return [...]string{"get", "put", "cas", "delete"}[k] }

// Cell is what a key holds. The zero Cell is an absent key.
type Cell struct {
	Present bool
	Value   string
}

// Holding is a key with a value.
func Holding(value string) Cell { return Cell{Present: true, Value: value} }

func (c Cell) String() string {
	if !c.Present {
		return "absent"
	}
	return fmt.Sprintf("%q", c.Value)
}

// Operation is one request of a client and its answer.
type Operation struct {
	Client int // for messages
	Kind   Kind
	Key    string
	Value  string // that Put and CAS write
	Expect Cell   // of CAS

	Read     Cell   // the answer to Get
	Done     bool   // the answer to CAS: Expect was right; to Delete: there was something to remove
	Revision uint64 // of what Get found, or Put and CAS wrote; it grows with each write of a key. 0: not told

	Call   int64
	Return int64 // not before Call
	// Unknown: there was no answer. The operation may take effect at any time after its call, or never.
	Unknown bool
}

func (o Operation) String() string {
	text := fmt.Sprintf("client %d: %s %s", o.Client, o.Kind, o.Key)
	switch o.Kind {
	case Put:
		text += fmt.Sprintf(" := %q", o.Value)
	case CAS:
		text += fmt.Sprintf(" %s := %q", o.Expect, o.Value)
	}
	if o.Unknown {
		return fmt.Sprintf("%s -> unknown [%d, ...]", text, o.Call)
	}
	switch o.Kind {
	case Get:
		text += fmt.Sprintf(" -> %s", o.Read)
	case CAS, Delete:
		text += fmt.Sprintf(" -> %t", o.Done)
	}
	if o.Revision != 0 {
		text += fmt.Sprintf(" @%d", o.Revision)
	}
	return fmt.Sprintf("%s [%d, %d]", text, o.Call, o.Return)
}

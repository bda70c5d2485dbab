package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// Command is what an agent proposes: exactly one of the pointers is set.
type Command struct {
	At            monitor.Moment // the proposer's clock: for people
	AddMaster     *AddMaster
	AddReplica    *AddReplica
	RegisterAgent *Agent
	Step          *failover.Step // the entry's term must be the step's epoch
	AdvanceCursor *Cursor
	Write         *Write // its result is the revision
	ForgetAgent   string // its id: it is not a member any more
	Pause         *Pause
	Resume        *Resume
	Acknowledge   *Acknowledgement
	Register      *Register
	Forget        *Register // a replica; its RunID is the one that is known
	Diverged      *Diverged
	Schedule      *ScheduleSwitchover
	Cancel        *CancelSwitchover
	AllowLoss     *AllowLoss
	Shadow        *Shadow    // one that switches makes the entry's term the master's epoch
	Monitor       *AddMaster // at run time
	Remove        string     // a master's name
	Set           *SetOptions
	Reset         *Reset
	Move          *MoveReplica
	Delivery      *Delivery
	Inquire       *Inquire // the entry's term must be its epoch
}

// Diverged says what a former master had written, and loses.
type Diverged struct {
	Master string
	failover.Divergence
}

// Register says which process of a master's group serves at an address, see failover.Process.
type Register struct {
	Master string
	failover.Process
}

// MoveReplica says that what is known at two addresses is one process, which is at the second one. Whoever proposes it has seen both.
type MoveReplica struct {
	Master   string
	From, To config.Addr
	RunID    string
}

// AddMaster makes a master known, under the address that a configuration file gives. A known name keeps what it has.
type AddMaster struct {
	Name   string
	Addr   config.Addr
	Quorum int // for people
}

// AddReplica makes a replica of a master known.
type AddReplica struct {
	Master string
	Addr   config.Addr
	Of     uint64 // the master's Added: one of the same name that came since has other replicas
}

// version is the first byte of a command and of a snapshot. It grows with a change that an older version must not pass over: an added field
// that changes what becomes of the state.
const version = 1

// kinds is how many fields a command of this version has; one of a newer version may have more.
var kinds = reflect.TypeFor[Command]().NumField()

// handle is read-only after this. Structs are arrays: fields may only be added at their ends. There are no maps, so that
// equal values have equal bytes.
var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.TypeInfos = codec.NewTypeInfos([]string{"codec"}) // names and options of JSON have no say
	h.StructToArray = true                              // no names on the wire: fields may only be added at the end
	h.RawToString = true
	h.MaxInitLen = 1 << 16
	return h
}()

// Encode is the Data of the entry that carries the command.
func (c *Command) Encode() ([]byte, error) { return encode(c) }

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte(version)
	if err := codec.NewEncoder(&out, handle).Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return out.Bytes(), nil
}

// DecodeCommand reads exactly one command. The error is ErrNewer for one that only a newer version knows.
func DecodeCommand(data []byte) (Command, error) {
	var c Command
	if len(data) > 0 && data[0] > version {
		return c, ErrNewer
	}
	if fields(data) > kinds {
		var all []any
		if err := decode(data, &all); err != nil {
			return c, err
		}
		// A newer version writes all its fields, whichever it uses.
		if slices.ContainsFunc(all[kinds:], func(field any) bool { return field != nil && !reflect.ValueOf(field).IsZero() }) {
			return c, ErrNewer
		}
	}
	err := decode(data, &c)
	if err == nil && c.Delivery != nil && c.Delivery.Kind >= deliveryKinds {
		return c, ErrNewer
	}
	return c, err
}

// fields says of how many elements the array is that a command is encoded as.
func fields(data []byte) int {
	const short, long = 0x90, 0xdc // MessagePack's fixarray and array 16
	switch {
	case len(data) > 1 && data[1]&0xf0 == short:
		return int(data[1] & 0x0f)
	case len(data) > 3 && data[1] == long:
		return int(binary.BigEndian.Uint16(data[2:]))
	}
	return 0
}

func decode(data []byte, v any) error {
	if len(data) == 0 || data[0] != version {
		return fmt.Errorf("decode %T: not of version %d: run the same version on all agents", v, version)
	}
	d := codec.NewDecoderBytes(data[1:], handle)
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	if d.NumBytesRead() != len(data)-1 {
		return errors.New("decode: bytes are left over")
	}
	return nil
}

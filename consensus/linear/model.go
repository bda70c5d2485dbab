package linear

import "github.com/anishathalye/porcupine"

// register is the state of one key in the model.
type register struct {
	Cell
	revision uint64 // of the last write; 0: nobody was told it yet
}

// Model is a map in which each key is checked by itself. Inputs are Operations; there are no outputs beside them.
func Model() porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() any { return register{} },
		Step: func(state, input, _ any) (bool, any) {
			return state.(register).step(input.(Operation))
		},
		DescribeOperation: func(input, _ any) string { return input.(Operation).String() },
		DescribeState:     func(state any) string { return state.(register).String() },
	}
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	var parts [][]porcupine.Operation
	place := map[string]int{}
	for _, o := range history {
		key := o.Input.(Operation).Key
		i, known := place[key]
		if !known {
			i = len(parts)
			place[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}

// step says whether the operation can take effect now with the answer it got, and what the key holds afterwards.
func (r register) step(o Operation) (bool, register) {
	switch o.Kind {
	case Get:
		return o.Read == r.Cell && r.mayBe(o.Revision), r.known(o.Revision)
	case Put:
		return r.precedes(o.Revision), register{Holding(o.Value), o.Revision}
	case CAS:
		if r.Cell != o.Expect {
			return o.Unknown || !o.Done, r
		}
		return o.Unknown || o.Done && r.precedes(o.Revision), register{Holding(o.Value), o.Revision}
	case Delete:
		return o.Unknown || o.Done == r.Present, register{}
	}
	return false, r
}

// mayBe says whether what the key holds may have been written at the revision that a reader was told.
func (r register) mayBe(told uint64) bool { return told == 0 || r.revision == 0 || told == r.revision }

// known is the register once a reader was told a revision.
func (r register) known(told uint64) register {
	if told != 0 {
		r.revision = told
	}
	return r
}

// precedes says whether a write at a revision may follow.
func (r register) precedes(next uint64) bool { return next == 0 || next > r.revision }

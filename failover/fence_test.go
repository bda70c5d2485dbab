package failover

import "testing"

func TestFence_CarriesWhatItReplaces(t *testing.T) {
	for name, is := range map[string]fenceSettings{
		"default": {0, 10}, "of the user": {2, 3}, "switched off by the lag": {1, 0}, "both off": {0, 0},
	} {
		set := is.fenced()
		if _, _, fenced := Fenced(set.replicas); !fenced || set.lag == 0 {
			t.Errorf("%s: %+v is no fence", name, set)
		}
		if again := set.fenced(); again != set {
			t.Errorf("%s: fenced twice it is %+v, not %+v", name, again, set)
		}
		left := fenceSettings{fenceBase + is.replicas, is.lag} // without looking
		if back := left.fenced().unfenced(); back != is || left.fenced().lag == 0 {
			t.Errorf("%s: %+v was left, becomes %+v, and comes back as %+v", name, left, left.fenced(), back)
		}
		if back := set.unfenced(); back != is {
			t.Errorf("%s: %+v comes back as %+v", name, is, back)
		}
		if is.unfenced() != is {
			t.Errorf("%s: what has no fence is changed", name)
		}
	}
}

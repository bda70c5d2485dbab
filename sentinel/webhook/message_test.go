package webhook

import (
	"net/http"
	"testing"
	"time"

	"picket/config"
)

// TestSign_PublishedExample has the numbers of the Standard Webhooks reference libraries.
func TestSign_PublishedExample(t *testing.T) {
	keys, err := config.Webhook{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}.SigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "0": 0, "120": 2 * time.Minute, "3601": longestWait, "99999999999": longestWait,
		"99999999999999999999999": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0,
		time.Now().Add(48 * time.Hour).UTC().Format(http.TimeFormat): longestWait,
	} {
		if got := retryAfter(value, time.Now()); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	soon := time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	if got := retryAfter(soon, time.Now()); got < 9*time.Minute || got > 10*time.Minute {
		t.Errorf("%q: %v, want ten minutes", soon, got)
	}
}

func TestPauseAfter_GrowsToItsBound(t *testing.T) {
	for attempts := 1; attempts < 100; attempts++ {
		want := pauses[min(attempts, len(pauses))-1]
		if got := pauseAfter(attempts); got < want*7/8 || got > want*9/8 {
			t.Errorf("after %d attempts: %v, want about %v", attempts, got, want)
		}
	}
}

package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
)

// thoughtful is an agent whose operator's programs, and whose webhooks' receivers, take as long as they may.
type thoughtful struct{ obedient }

func (*thoughtful) Switchover(ctx context.Context, _ SwitchoverOrder) error {
	return doze(ctx, 20*time.Second)
}

func (*thoughtful) TestWebhook(ctx context.Context, name, _ string) (WebhookTested, error) {
	return WebhookTested{Webhook: name, OK: true}, doze(ctx, 10*time.Second)
}

func (*thoughtful) CancelSwitchover(ctx context.Context, _, _ string) error {
	return doze(ctx, time.Minute)
}

// ann asks from another host: a pipe has no address.
var ann = config.Token{Name: "ann", Token: operateToken, Role: config.RoleOperate}

func doze(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestOrders_WaitForOthers: an order is not cut short while somebody else is asked; what the agents do among themselves is.
func TestOrders_WaitForOthers(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		within             time.Duration
	}{
		{"POST", "/v1/switchover", `{"master":"m","who":"ann"}`, http.StatusOK, 21 * time.Second},
		{"POST", "/v1/webhooks/ops/test", `{"who":"ann"}`, http.StatusOK, 11 * time.Second},
		{"DELETE", "/v1/switchover?master=m&who=ann", "", http.StatusGatewayTimeout, readTimeout},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				cfg, _ := whole(t)
				agent := &thoughtful{}
				cfg.OpenPort = func(string, string) (net.Listener, error) { return p, nil }
				cfg.Orders, cfg.Webhooks = agent, agent
				cfg.HTTP.Tokens = []config.Token{ann}
				s, err := Listen(cfg)
				if err != nil {
					t.Fatal(err)
				}
				request, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:26381"+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+operateToken)
				conn := p.dial()
				start := time.Now()
				if err := request.Write(conn); err != nil {
					t.Fatal(err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), request)
				if err != nil {
					t.Fatalf("after %s: %v", time.Since(start), err)
				}
				body, _ := io.ReadAll(answer.Body) // for the message
				if took := time.Since(start); answer.StatusCode != c.status || took > c.within {
					t.Errorf("after %s: %s %s", took, answer.Status, body)
				}
				_ = conn.Close()
				if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		})
	}
}

// TestClose_CutsOffWhoTakesLong: it does not wait for others as an order does.
func TestClose_CutsOffWhoTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		cfg, _ := whole(t)
		cfg.Orders, cfg.HTTP.Tokens = &thoughtful{}, []config.Token{ann}
		cfg.OpenPort = func(string, string) (net.Listener, error) { return p, nil }
		s, err := Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		const body = `{"master":"m","who":"ann"}`
		conn, start := p.dial(), time.Now()
		if _, err := fmt.Fprintf(conn, "POST /v1/switchover HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", operateToken, len(body), body); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil || time.Since(start) > closeTimeout {
			t.Errorf("after %s: %d bytes, %v", time.Since(start), n, err)
		}
	})
}

// TestStream_OutlastsARequest: no limit of one ends a stream whose client listens.
func TestStream_OutlastsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		cfg, _ := whole(t)
		cfg.HTTP.Tokens = []config.Token{ann}
		cfg.OpenPort = func(string, string) (net.Listener, error) { return p, nil }
		s, err := Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		conn, start := p.dial(), time.Now()
		if _, err := fmt.Fprintf(conn, "GET /v1/kv/a?watch HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", operateToken); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(answer.Body)
		for in.Scan() && time.Since(start) < 3*writeTimeout {
		}
		if took := time.Since(start); took < 3*writeTimeout {
			t.Errorf("it ends after %s: %v", took, in.Err())
		}
		_ = conn.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

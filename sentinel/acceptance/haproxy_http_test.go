package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// documented is the configuration that docs/load-balancers.md shows, with other addresses.
func documented(t *testing.T, replacements ...string) string {
	t.Helper()
	for _, b := range documents(t) {
		if b.file == "load-balancers.md" && b.language == "haproxy" {
			return strings.NewReplacer(replacements...).Replace(b.text)
		}
	}
	t.Fatal("docs/load-balancers.md shows no configuration")
	return ""
}

func TestHAProxy_FollowsByTheDocumentedChecks(t *testing.T) {
	t.Parallel()
	tool(t, "haproxy", "haproxy")
	l, c := start(t, nil)
	fronts := twoFronts(t, l)
	replacements := []string{"10.0.0.9:6379", string(fronts[0]), "10.0.0.9:6380", string(fronts[1])}
	for i, r := range c.Redis {
		replacements = append(replacements, fmt.Sprintf("10.0.0.%d:6379", i+1), fmt.Sprintf("%s port %d", r.Addr, c.Agents[i].HTTP.Port()))
	}
	startProxy(t, l, nil, documented(t, replacements...))
	followsTwice(t, c, func(ctx context.Context, to *lab.Redis) error {
		if err := leadsTo(ctx, fronts[0], to); err != nil {
			return fmt.Errorf("the primary's front: %w", err)
		}
		return leadsToReplica(ctx, fronts[1])
	})
}

// leadsToReplica returns nil when a connection by way of the proxy comes to a replica.
func leadsToReplica(ctx context.Context, front config.Addr) error {
	client := redis.NewClient(&redis.Options{Addr: string(front), Password: lab.ClientPassword, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	role, err := client.Do(ctx, "ROLE").Slice()
	if err == nil && fmt.Sprint(role[0]) != "slave" {
		err = fmt.Errorf("the replicas' front leads to a %v", role[0])
	}
	return err
}

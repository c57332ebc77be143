package page

import (
	"strings"
	"testing"
)

func TestT01DashboardSaysThatEverySenderIsBelieved(t *testing.T) {
	t.Parallel()
	o := options(busy())
	if body := get(t, open(t, o), "/").Body.String(); strings.Contains(body, "risks-title") {
		t.Error("a sound desk has a strip about its settings")
	}
	o.Risks = []string{"authentication.network: EVERY From address is believed <b>"}
	body := get(t, open(t, o), "/").Body.String()
	if !strings.Contains(body, "EVERY From address is believed &lt;b&gt;") || !strings.Contains(body, `class="notice bad" aria-labelledby="risks-title"`) {
		t.Errorf("the dashboard does not say it:\n%s", body)
	}
	// Mail flows all the same.
	if health := get(t, open(t, o), "/healthz"); health.Body.String() != get(t, open(t, options(busy())), "/healthz").Body.String() {
		t.Errorf("health %s", health.Body)
	}
}

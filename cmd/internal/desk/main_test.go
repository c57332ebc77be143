package desk

import (
	"testing"

	"go.uber.org/goleak"

	"deskd/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func() error { return goleak.Find() })
}

package storetest

import (
	"context"
	"database/sql/driver"
	"io"
)

// Op is what is asked of the database.
type Op string

// What Hooks see. Begin, Commit and Rollback have no query.
const (
	Connect  Op = "connect"
	Begin    Op = "begin"
	Commit   Op = "commit"
	Rollback Op = "rollback"
	Exec     Op = "exec"
	Query    Op = "query"
)

// Hooks stand between database/sql and a driver. A nil hook does nothing. They
// are called by several goroutines.
type Hooks struct {
	// Before is called before the driver; its error is given instead of
	// calling it.
	Before func(op Op, query string, args []driver.NamedValue) error
	// After is called after a call that went well; its error is given
	// instead of the result, though the effect is there.
	After func(op Op, query string) error
	// Cut lets a commit that went well give the context's error when that has
	// ended by then, as pgx does while the answer is still under way.
	Cut bool
	// Connected is called with each new connection, to be used at will.
	Connected func(conn driver.Conn) error
}

// Wrap gives what store.Options.Wrap takes.
func Wrap(h Hooks) func(driver.Connector) driver.Connector {
	return WrapEach(func() Hooks { return h })
}

// WrapEach is Wrap with hooks of its own for every connection, so that what is
// done in one transaction can be told from what others do meanwhile.
func WrapEach(hooks func() Hooks) func(driver.Connector) driver.Connector {
	return func(c driver.Connector) driver.Connector { return connector{c, hooks} }
}

func (h Hooks) around(op Op, query string, args []driver.NamedValue, call func() error) error {
	if h.Before != nil {
		if err := h.Before(op, query, args); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		return err
	}
	if h.After != nil {
		return h.After(op, query)
	}
	return nil
}

type connector struct {
	driver.Connector
	hooks func() Hooks
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	var inner driver.Conn
	hooks := c.hooks()
	err := hooks.around(Connect, "", nil, func() (err error) {
		inner, err = c.Connector.Connect(ctx)
		return err
	})
	if err == nil && hooks.Connected != nil {
		err = hooks.Connected(inner)
	}
	if err != nil {
		if inner != nil {
			inner.Close()
		}
		return nil, err
	}
	return &conn{inner, hooks}, nil
}

// Close closes what the inner connector holds, if anything.
func (c connector) Close() error {
	if closer, ok := c.Connector.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

type conn struct {
	driver.Conn
	hooks Hooks
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	var inner driver.Tx
	err := c.hooks.around(Begin, "", nil, func() (err error) {
		inner, err = c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tx{inner, c.hooks, ctx}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	var result driver.Result
	err := c.hooks.around(Exec, query, args, func() (err error) {
		result, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return result, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	var rows driver.Rows
	err := c.hooks.around(Query, query, args, func() (err error) {
		rows, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		return err
	})
	if err != nil && rows != nil {
		rows.Close()
		rows = nil
	}
	return rows, err
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *conn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *conn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *conn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type tx struct {
	driver.Tx
	hooks Hooks
	ctx   context.Context // that the driver began it with
}

func (t tx) Commit() error {
	if err := t.hooks.around(Commit, "", nil, t.Tx.Commit); err != nil || !t.hooks.Cut {
		return err
	}
	return t.ctx.Err()
}

func (t tx) Rollback() error { return t.hooks.around(Rollback, "", nil, t.Tx.Rollback) }

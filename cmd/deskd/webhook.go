package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deskd/cmd/internal/desk"
	"deskd/configs"
)

// postAlarm posts alarms to a webhook. The text is what chat programs show.
func postAlarm(s *configs.Settings) func(context.Context, desk.Alarm) error {
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	type body struct {
		Text   string    `json:"text"`
		Desk   string    `json:"desk"`
		At     time.Time `json:"at"`
		Wrong  []string  `json:"wrong"`
		Mended []string  `json:"mended"`
	}
	return func(ctx context.Context, a desk.Alarm) error {
		b := body{Desk: s.Name, At: time.Now().UTC(), Wrong: a.Wrong, Mended: a.Mended}
		lines := []string{s.Name + ":"}
		for _, w := range a.Wrong {
			lines = append(lines, "- wrong: "+w)
		}
		for _, m := range a.Mended {
			lines = append(lines, "- mended: "+m)
		}
		b.Text = strings.Join(lines, "\n")
		data, err := json.Marshal(b)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Alerts.Webhook.Reveal(), bytes.NewReader(data))
		if err != nil {
			return errors.New("the address of the webhook cannot be used") // the error would show it (T45)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			var shown *url.Error // its text has the address
			if errors.As(err, &shown) {
				err = shown.Err
			}
			return err
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
		if answer.StatusCode/100 != 2 {
			return fmt.Errorf("the webhook answers %s", answer.Status)
		}
		return nil
	}
}

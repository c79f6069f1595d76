package mqttx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// openWebsocket makes conn, which is encrypted already if it should be, a
// websocket that carries MQTT (MQTT 5.0, 6).
func openWebsocket(ctx context.Context, conn net.Conn, addr *url.URL) (net.Conn, error) {
	use := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	wd := websocket.Dialer{NetDialContext: use, NetDialTLSContext: use, Subprotocols: []string{"mqtt"}}
	ws, resp, err := wd.DialContext(ctx, addr.String(), nil)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		if resp != nil && errors.Is(err, websocket.ErrBadHandshake) {
			return nil, fmt.Errorf("websocket: the broker answered %q", resp.Status)
		}
		return nil, fmt.Errorf("websocket: %w", err)
	}
	return &webStream{ws: ws}, nil
}

// A webStream is the stream of bytes in a websocket's messages. It allows one
// reader and one writer at a time.
type webStream struct {
	ws      *websocket.Conn
	message io.Reader // what is left of the current one; nil: none
}

var _ net.Conn = (*webStream)(nil)

func (s *webStream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			_, r, err := s.ws.NextReader()
			if err != nil {
				return 0, ended(err)
			}
			s.message = r
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, ended(err)
		}
	}
}

// ended makes the end of a websocket the end of a stream.
func ended(err error) error {
	if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) {
		return fmt.Errorf("%w: %w", io.EOF, err)
	}
	return err
}

func (s *webStream) Write(p []byte) (int, error) {
	if err := s.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *webStream) Close() error                       { return s.ws.Close() }
func (s *webStream) LocalAddr() net.Addr                { return s.ws.LocalAddr() }
func (s *webStream) RemoteAddr() net.Addr               { return s.ws.RemoteAddr() }
func (s *webStream) SetReadDeadline(t time.Time) error  { return s.ws.SetReadDeadline(t) }
func (s *webStream) SetWriteDeadline(t time.Time) error { return s.ws.SetWriteDeadline(t) }

// SetDeadline sets both deadlines.
func (s *webStream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

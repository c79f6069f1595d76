package opcua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uasc"
)

const (
	tokenLifetime = time.Hour // of a channel's keys
	bufferSize    = 0xffff    // of a chunk
	farewell      = time.Second
)

// A link is a secure channel and a session on it. It is used until the first sign
// that it is broken, and then replaced: nothing of it is repaired. Its methods may
// be called concurrently.
type link struct {
	url     string
	timeout time.Duration
	conn    *uacp.Conn
	channel *uasc.SecureChannel
	token   *ua.NodeID

	// trouble has a value when the channel saw an error, which may be that of a
	// single request.
	trouble chan error

	heard      atomic.Int64 // when the server last answered, Unix nanoseconds
	namespaces []string
	limits     limits
	types      *typeTable
}

// dial connects to the server of cfg and logs in. Its error names what failed.
func dial(ctx context.Context, cfg Config, cred *credentials) (*link, error) {
	end := &endpoint{policy: ua.SecurityPolicyURINone, mode: ua.MessageSecurityModeNone}
	if !cfg.Security.plain() {
		var err error
		if end, err = discover(ctx, cfg, cred); err != nil {
			return nil, err
		}
	}
	l, err := open(ctx, cfg, end.channel(cfg, cred))
	if err != nil {
		return nil, err
	}
	if err := l.login(ctx, cfg, cred, end); err != nil {
		l.close(false)
		return nil, err
	}
	l.types = newTypeTable(l)
	if l.namespaces, err = l.readNamespaces(ctx); err == nil {
		l.limits, err = l.readLimits(ctx, cfg)
	}
	if err != nil {
		l.close(true)
		return nil, fmt.Errorf("read the server's limits: %w", err)
	}
	return l, nil
}

// open connects, and opens a secure channel without a session.
func open(ctx context.Context, cfg Config, channel *uasc.Config) (*link, error) {
	l := &link{url: cfg.URL, timeout: cfg.Timeout, trouble: make(chan error, 1)}
	bounded, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	d := uacp.Dialer{
		Dialer:    &net.Dialer{Timeout: cfg.Timeout},
		ClientACK: &uacp.Acknowledge{ReceiveBufSize: bufferSize, SendBufSize: bufferSize},
	}
	var err error
	if l.conn, err = d.Dial(bounded, cfg.URL); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if l.channel, err = uasc.NewSecureChannel(cfg.URL, l.conn, channel, l.trouble); err != nil {
		_ = l.conn.Close()
		return nil, fmt.Errorf("open a secure channel: %w", err)
	}
	if err := l.channel.Open(bounded); err != nil {
		l.close(false)
		return nil, fmt.Errorf("open a secure channel: %w", err)
	}
	l.heard.Store(time.Now().UnixNano())
	return l, nil
}

// login creates and activates a session.
func (l *link) login(ctx context.Context, cfg Config, cred *credentials, end *endpoint) error {
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	created, err := send[*ua.CreateSessionResponse](ctx, l, &ua.CreateSessionRequest{
		ClientDescription: &ua.ApplicationDescription{
			ApplicationURI:  cred.applicationURI,
			ProductURI:      DefaultApplicationURI,
			ApplicationName: ua.NewLocalizedText("GridLinks IoT Gateway"),
			ApplicationType: ua.ApplicationTypeClient,
		},
		EndpointURL: cfg.URL, SessionName: "gateway " + rand.Text()[:8], ClientNonce: nonce, ClientCertificate: cred.sent(end),
		RequestedSessionTimeout: float64(cfg.SessionTimeout / time.Millisecond),
	})
	if err != nil {
		return fmt.Errorf("create a session: %w", err)
	}
	if err := end.confirm(l.channel, created, nonce); err != nil {
		return fmt.Errorf("create a session: %w", err)
	}
	req := &ua.ActivateSessionRequest{ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{}}
	if err := end.authenticate(l.channel, cfg, cred, created, req); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	l.token = created.AuthenticationToken
	if _, err := send[*ua.ActivateSessionResponse](ctx, l, req); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// send sends a request, and returns its answer, of which the type is known. The
// error is a [ua.StatusCode] if the server refused.
func send[R ua.Response](ctx context.Context, l *link, req ua.Request) (R, error) {
	return sendFor[R](ctx, l, req, l.timeout)
}

// sendFor is send with a time-out of its own.
func sendFor[R ua.Response](ctx context.Context, l *link, req ua.Request, timeout time.Duration) (answer R, err error) {
	err = l.channel.SendRequestWithTimeout(ctx, req, l.token, timeout, func(v ua.Response) error {
		l.heard.Store(time.Now().UnixNano())
		r, ok := v.(R)
		if !ok {
			return fmt.Errorf("the answer is a %T", v)
		}
		answer = r
		return nil
	})
	return answer, err
}

// alive reports whether the server answers within wait, or has answered anything
// else meanwhile.
func (l *link) alive(ctx context.Context, wait time.Duration) error {
	asked := time.Now().UnixNano()
	_, err := sendFor[*ua.ReadResponse](ctx, l, readRequest(ua.AttributeIDValue, ua.NewNumericNodeID(0, serverState)), min(wait, l.timeout))
	var status ua.StatusCode
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ua.StatusBadTimeout) && l.heard.Load() >= asked:
		return nil // it is busy
	case errors.As(err, &status) && !lost(err):
		return nil // a refusal is an answer
	default:
		return err
	}
}

// lost reports whether err means that the connection or the session is gone.
func lost(err error) bool {
	var status ua.StatusCode
	if errors.As(err, &status) {
		switch status {
		case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionClosed, ua.StatusBadSessionNotActivated,
			ua.StatusBadSecureChannelClosed, ua.StatusBadSecureChannelIDInvalid, ua.StatusBadSecureChannelTokenUnknown,
			ua.StatusBadServerNotConnected, ua.StatusBadConnectionClosed, ua.StatusBadShutdown, ua.StatusBadServerHalted,
			ua.StatusBadTCPSecureChannelUnknown, ua.StatusBadTimeout:
			return true
		}
		return false
	}
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &op) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// close ends the link. A session that is not ended properly lives on at the server
// until its time-out.
func (l *link) close(properly bool) {
	if properly && l.token != nil {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		_, _ = sendFor[*ua.CloseSessionResponse](ctx, l, &ua.CloseSessionRequest{DeleteSubscriptions: true}, farewell)
		cancel()
	}
	if !properly {
		_ = l.conn.Close() // before the channel says farewell to nobody
	}
	_ = l.channel.Close()
	_ = l.conn.Close()
}

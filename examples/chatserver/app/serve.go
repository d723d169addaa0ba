package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
)

// Serve answers requests and works on the analyses until ctx ends. Then it lets
// the answers that run end, for ten seconds at most.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// An answer has three minutes. What lives longer, WebSockets and the changes of jobs, bounds
	// each of its writes.
	base, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	web := &http.Server{
		Handler: s.Handler(), BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	web.RegisterOnShutdown(s.jobs.HangUp)
	working, stopWorking := context.WithCancel(context.Background())
	defer stopWorking()
	worked := make(chan error, 1)
	go func() { worked <- s.Work(working) }()
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	beside, stopBeside := context.WithCancel(context.Background())
	var besides sync.WaitGroup
	for _, run := range append([]func(context.Context){s.metrics.Run}, s.background...) {
		besides.Go(func() { run(beside) })
	}
	defer func() { stopBeside(); besides.Wait() }()
	select {
	case err := <-served:
		stopWorking()
		return errors.Join(err, <-worked)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	// WebSockets are closed with a reason; HTTP answers may end. What has not after ten seconds
	// is cut off.
	bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer context.AfterFunc(bounded, hangUp)()
	answers, cancelAnswers := context.WithTimeout(bounded, 5*time.Second)
	defer cancelAnswers()
	if err := s.socket.Close(answers); err != nil {
		s.log.Warn("answers were interrupted", "error", err)
	}
	err := web.Shutdown(bounded)
	<-served
	stopWorking()
	return errors.Join(err, <-worked)
}

// Work works on the analyses until ctx ends, and then on what is under way. A
// process that only serves callers has nothing to do.
func (s *Server) Work(ctx context.Context) error {
	if s.role == roleAPI {
		<-ctx.Done()
		return nil
	}
	return s.jobs.Run(ctx)
}

// Jobs are the analyses in the background.
func (s *Server) Jobs() *jobs.Service { return s.jobs }

// Close frees what a server holds that does not serve any more: the answers that
// still run are interrupted.
func (s *Server) Close() {
	ended, end := context.WithCancel(context.Background())
	end()
	s.socket.Close(ended) // its error is that answers were interrupted
	s.close()
}

// Summary says what is on, line by line.
func (s *Server) Summary() []Line { return s.summary }

// Notice says which model answers, in a sentence.
func (s *Server) Notice() string { return s.info.Notice }

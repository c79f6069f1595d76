package ota

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// update carries out an update. jobCtx ends when the package is replaced.
func (r *run) update(ctx, jobCtx context.Context, a announcement) {
	err := r.prepare(jobCtx, a)
	switch {
	case jobCtx.Err() != nil:
		r.cfg.Logger.Debug("the update ends", "kind", r.cfg.Kind, "title", a.Title, "version", a.Version, "error", context.Cause(jobCtx))
	case errors.Is(err, errUnavailable): // the next process may go on from here
		r.fail(ctx, a.identity, err)
	case err != nil:
		r.discard()
		r.fail(ctx, a.identity, err)
	default:
		r.install(ctx, a)
	}
}

// prepare does what comes before the installation, and can be interrupted.
func (r *run) prepare(ctx context.Context, a announcement) error {
	if a.URL == "" {
		if err := r.fetch(ctx, a.identity); err != nil {
			return err
		}
		if err := r.report(ctx, stateVerified, ""); err != nil {
			return err
		}
	}
	return r.report(ctx, stateUpdating, "")
}

// install calls Install. The record says so before: a process that does not
// survive it must not try it again and again.
func (r *run) install(ctx context.Context, a announcement) {
	rec := record{identity: a.identity, Phase: installing}
	if err := r.files.save(rec); err != nil {
		r.fail(ctx, a.identity, err)
		return
	}
	image := Image{
		Title: a.Title, Version: a.Version, Tag: a.Tag,
		Size: a.Size, Checksum: a.Checksum, Algorithm: a.Algorithm, URL: a.URL,
	}
	if a.URL == "" {
		image.Path = r.files.image
	}
	err := r.cfg.Install(ctx, image)
	switch {
	case err == nil:
		r.title, r.version = a.Title, a.Version
		rec.Phase = installed
		r.keep(rec)
		r.drop()
		_ = r.report(ctx, stateUpdated, "") // ctx is done
	case ctx.Err() != nil:
		rec.Phase = downloading // the file is complete, if it is there at all
		r.keep(rec)
	default:
		rec.Phase, rec.Reason = notWorking, err.Error()
		r.keep(rec)
		r.drop()
		r.fail(ctx, a.identity, err)
	}
}

// drop removes the image, and leaves the record.
func (r *run) drop() {
	if err := remove(r.files.image); err != nil {
		r.cfg.Logger.Debug("the file of an update was not removed", "error", err)
	}
}

// fail reports that an update has failed, and remembers it.
func (r *run) fail(ctx context.Context, id identity, err error) {
	r.failed = &record{identity: id, Phase: notWorking, Reason: err.Error()}
	_ = r.report(ctx, stateFailed, err.Error()) // ctx is done
}

// fetch makes the file hold the package.
func (r *run) fetch(ctx context.Context, id identity) error {
	have, err := r.begin(id)
	if err != nil {
		return err
	}
	for {
		if err := r.report(ctx, stateDownloading, ""); err != nil {
			return err
		}
		if err := r.download(ctx, id, have); err != nil {
			return err
		}
		if err := r.report(ctx, stateDownloaded, ""); err != nil {
			return err
		}
		err := verify(r.files.image, id)
		if err == nil {
			return nil
		}
		if removed := remove(r.files.image); removed != nil {
			return removed
		}
		if have == 0 {
			return err
		}
		// The beginning is of an earlier process, which may not have written all
		// of it to the medium.
		r.cfg.Logger.Debug("the download starts again", "kind", r.cfg.Kind, "error", err)
		have = 0
	}
}

// begin returns how many bytes an earlier download has left, having made sure
// that there is space for the others.
func (r *run) begin(id identity) (have int64, err error) {
	rec := r.files.load()
	if rec.identity == id && rec.Phase == downloading {
		if info, err := os.Stat(r.files.image); err == nil && info.Mode().IsRegular() {
			have = min(info.Size(), id.Size)
		}
	}
	if have == 0 {
		if err := r.files.discard(); err != nil {
			return 0, err
		}
		if err := r.files.save(record{identity: id, Phase: downloading}); err != nil {
			return 0, err
		}
	}
	free, known := r.space(r.cfg.Folder)
	if need := id.Size - have; known && free-r.cfg.Reserve < need {
		return 0, fmt.Errorf("no space: %d bytes are free in %s, %d of them are reserved, and %d are needed",
			free, r.cfg.Folder, r.cfg.Reserve, need)
	}
	return have, nil
}

// Package poll schedules the requests of protocols that poll.
//
// A [Lane] is one medium that carries one request at a time: a serial line, a
// connection, a radio. Its [Lane.Run] is one goroutine and one timer, however
// many devices and jobs it serves, and it sleeps whenever nothing is due.
//
//   - Each [Job] keeps a fixed grid: a start time plus a multiple of its
//     interval. A job that is late runs once, and then continues on its grid;
//     the cycles that it missed are counted in [Stats] and never made up for.
//   - Devices start spread over a window, in the same order every time, so that
//     equal intervals do not come due at the same instant.
//   - A command ([Lane.Do]) goes before every poll. A poll of several requests
//     calls [Turn.Yield] between them to let commands through.
//   - A device that fails several times in a row is suspended: its jobs leave the
//     schedule, and only its probe runs, after growing delays. The first probe
//     that succeeds returns the jobs to their grids. A dead device thus costs its
//     neighbours one time-out per delay.
//   - An error marked by [Down] means that the medium itself is gone: the lane
//     closes it, and opens it again after growing delays. Meanwhile commands fail
//     at once, and no poll runs.
//
// Delays double from one second to one minute and are jittered, unless [Config]
// names other bounds.
package poll

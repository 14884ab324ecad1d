/*
 * tbb.cpp: oneTBB.
 *
 *   oneTBB flow_graph  one continue_node an op and an edge an input, built and run
 *   oneTBB task_group  whichever input finishes last runs the op, as a new task of the group
 *
 * The calling thread takes part while it waits, so the arena has one thread more than there are
 * devices.
 */
#include "bench.h"

#include <atomic>
#include <memory>
#include <semaphore.h>
#include <vector>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

namespace flow = oneapi::tbb::flow;
using oneapi::tbb::global_control;

namespace {

using Node = flow::continue_node<flow::continue_msg>;

/* Runs `body` in an arena for `devices` workers and the caller. */
template <typename Body> void in_arena(int devices, const Body &body) {
  global_control threads(global_control::max_allowed_parallelism, devices + 1);
  oneapi::tbb::task_arena arena(devices + 1);
  arena.execute(body);
}

/* --- flow graph ------------------------------------------------------------------------------- */

using Nodes = std::vector<std::unique_ptr<Node>>;

void add_node(bench *bench, flow::graph &graph, Nodes &nodes, uint32_t op) {
  uint32_t inputs[2];
  int count = bench_inputs(bench, op, inputs);
  nodes.push_back(std::make_unique<Node>(
      graph, [bench, op](const flow::continue_msg &) { bench_execute(bench, op); }));
  for (int i = 0; i < count; i++)
    flow::make_edge(*nodes[inputs[i]], *nodes[op]);
}

void start_nodes_without_inputs(bench *bench, const Nodes &nodes) {
  uint32_t inputs[2];
  for (uint32_t op = 0; op < bench->ops && bench_inputs(bench, op, inputs) == 0; op++)
    nodes[op]->try_put(flow::continue_msg());
}

void graph_round(bench *bench) {
  flow::graph graph;
  Nodes nodes;
  nodes.reserve(bench->ops);
  bench_begin(bench);
  for (uint32_t op = 0; op < bench->ops; op++)
    add_node(bench, graph, nodes, op);
  start_nodes_without_inputs(bench, nodes);
  bench_submitted(bench);
  graph.wait_for_all();
  bench_end(bench);
}

void run_graph(bench *bench) {
  in_arena(bench->devices, [bench] {
    while (bench_round(bench))
      graph_round(bench);
  });
}

void wait_for(sem_t *done) {
  while (sem_wait(done) != 0)
    ;
}

void run_graph_latency(bench *bench) {
  in_arena(1, [bench] {
    sem_t done;
    sem_init(&done, 0, 0);
    uint64_t start = 0;
    uint32_t sample = 0;
    flow::graph graph;
    Node op(graph, [&](const flow::continue_msg &) { bench_execute(bench, sample); });
    Node callback(graph, [&](const flow::continue_msg &) {
      bench_latency(bench, sample, bench_now() - start);
      sem_post(&done);
    });
    flow::make_edge(op, callback);
    while (bench_sample(bench, &sample)) {
      start = bench_now();
      op.try_put(flow::continue_msg());
      wait_for(&done);
    }
    graph.wait_for_all();
    sem_destroy(&done);
  });
}

/* --- task group ------------------------------------------------------------------------------- */

struct Group {
  struct bench *bench;
  std::vector<std::atomic<uint32_t>> missing; /* inputs, one count an op */
  oneapi::tbb::task_group tasks;

  explicit Group(struct bench *of) : bench(of), missing(of->ops) {}

  void run(uint32_t op) {
    tasks.run([this, op] {
      bench_execute(bench, op);
      uint32_t next;
      if (bench_dependent(bench, op, &next) && --missing[next] == 0)
        run(next);
    });
  }

  void count_inputs() {
    uint32_t inputs[2];
    for (uint32_t op = 0; op < bench->ops; op++)
      missing[op] = static_cast<uint32_t>(bench_inputs(bench, op, inputs));
  }

  void run_those_without_inputs() {
    uint32_t inputs[2];
    for (uint32_t op = 0; op < bench->ops && bench_inputs(bench, op, inputs) == 0; op++)
      run(op);
  }
};

void group_round(bench *bench, Group &group) {
  bench_begin(bench);
  group.count_inputs();
  group.run_those_without_inputs();
  bench_submitted(bench);
  group.tasks.wait();
  bench_end(bench);
}

void run_group(bench *bench) {
  in_arena(bench->devices, [bench] {
    Group group(bench);
    while (bench_round(bench))
      group_round(bench, group);
  });
}

void run_group_latency(bench *bench) {
  in_arena(1, [bench] {
    sem_t done;
    sem_init(&done, 0, 0);
    oneapi::tbb::task_group tasks;
    uint32_t op;
    while (bench_sample(bench, &op)) {
      uint64_t start = bench_now();
      tasks.run([&, op, start] {
        bench_execute(bench, op);
        bench_latency(bench, op, bench_now() - start);
        sem_post(&done);
      });
      wait_for(&done);
    }
    tasks.wait();
    sem_destroy(&done);
  });
}

/* Allocations are not counted: oneTBB keeps tasks and edges in an allocator of its own. */
const char no_placement[] = "a task cannot be placed on a thread";
const char caller_runs[] = "wait runs the op on the waiting thread";
const char run_from_inside[] = "an op is run only once its inputs are there";

const bench_case cases[] = {
    {"oneTBB flow_graph", "W1", run_graph, BENCH_SUBMIT, 0, nullptr},
    {"oneTBB flow_graph", "W2", run_graph, BENCH_SUBMIT, 0, nullptr},
    {"oneTBB flow_graph", "W3", nullptr, 0, 0, no_placement},
    {"oneTBB flow_graph", "W4", run_graph, BENCH_SUBMIT, 0, nullptr},
    {"oneTBB flow_graph", "W4x2", run_graph, BENCH_SUBMIT, 0, nullptr},
    {"oneTBB flow_graph", "W5", run_graph, 0, 0, nullptr},
    {"oneTBB flow_graph", "W6", run_graph_latency, 0, 0, nullptr},
    {"oneTBB flow_graph", "W6wait", nullptr, 0, 0, caller_runs},
    {"oneTBB task_group", "W1", run_group, 0, 0, nullptr},
    {"oneTBB task_group", "W2", run_group, BENCH_SUBMIT, 0, nullptr},
    {"oneTBB task_group", "W3", nullptr, 0, 0, no_placement},
    {"oneTBB task_group", "W4", run_group, 0, 0, nullptr},
    {"oneTBB task_group", "W4x2", run_group, 0, 0, nullptr},
    {"oneTBB task_group", "W5", nullptr, 0, 0, run_from_inside},
    {"oneTBB task_group", "W6", run_group_latency, 0, 0, nullptr},
    {"oneTBB task_group", "W6wait", nullptr, 0, 0, caller_runs},
    {nullptr, nullptr, nullptr, 0, 0, nullptr},
};

} // namespace

int main(int argc, char **argv) {
  return bench_main(argc, argv, cases);
}

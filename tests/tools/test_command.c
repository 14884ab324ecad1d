#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "array.h"
#include "fixture.h"

/* Runs the built command, TENOR_COMMAND, in a folder of its own. In arguments "@name" is a file of
 * tests/tools/data; others are in that folder. */
enum { TEXT_MAX = 4096, ROWS = 5, CLASSES = 3 };

static const char *const modes[] = {"async", "blocking"};
static const char *const device_lists[] = {"cpu:0", "cpu:0,cpu:1", "cpu:1", "sim:0,cpu:0,cpu:1"};
enum { MODES = 2, DEVICE_LISTS = 4 };

static char folder[] = "/tmp/tenor_command_XXXXXX";

struct outcome {
  int exit_status;
  char out[TEXT_MAX], err[TEXT_MAX];
};

/* What is too long is cut. */
static void read_text(const char *path, char *out) {
  struct bytes bytes = slurp(path);
  size_t size = bytes.size < TEXT_MAX ? bytes.size : TEXT_MAX - 1;
  memcpy(out, bytes.data, size);
  out[size] = '\0';
  bytes_finish(&bytes);
}

/* The arguments with the folder of the data in place of each '@'. */
static void expand(const char *arguments, char *out) {
  size_t used = 0;
  for (; *arguments; arguments++) {
    used += (size_t)(*arguments == '@' ? snprintf(out + used, TEXT_MAX - used, "%s", DATA(""))
                                       : snprintf(out + used, TEXT_MAX - used, "%c", *arguments));
    assert_true(used < TEXT_MAX);
  }
}

static struct outcome tenor(const char *arguments) {
  struct outcome outcome = {0};
  char expanded[TEXT_MAX] = "", line[2 * TEXT_MAX];
  expand(arguments, expanded);
  snprintf(line, sizeof line, "%s %s >out.txt 2>err.txt </dev/null", TENOR_COMMAND, expanded);
  int status = system(line);
  assert_true(WIFEXITED(status));
  outcome.exit_status = WEXITSTATUS(status);
  read_text("out.txt", outcome.out);
  read_text("err.txt", outcome.err);
  return outcome;
}

static void assert_exit(const struct outcome *outcome, int expected, const char *arguments) {
  if (outcome->exit_status != expected)
    fail_msg("tenor %s: exit status %d, not %d; %s", arguments, outcome->exit_status, expected,
             outcome->err);
}

static void assert_says(const char *text, const char *part) {
  if (!strstr(text, part))
    fail_msg("'%s' does not say '%s'", text, part);
}

static struct outcome succeed(const char *arguments) {
  struct outcome outcome = tenor(arguments);
  assert_exit(&outcome, 0, arguments);
  return outcome;
}

/* It ends with `exit_status` and a sentence that has `sentence` in it. */
static void fail_with(int exit_status, const char *arguments, const char *sentence) {
  struct outcome outcome = tenor(arguments);
  assert_exit(&outcome, exit_status, arguments);
  assert_says(outcome.err, "tenor: ");
  assert_says(outcome.err, sentence);
}

static struct array load(const char *path) {
  struct array array;
  tnr_fault fault;
  if (array_load(path, &array, &fault) != TNR_OK)
    fail_msg("%s", fault.message);
  return array;
}

static void assert_same_array(const char *path, const char *expected_path, float tolerance) {
  struct array array = load(path), expected = load(expected_path);
  assert_true(tnr_shape_equal(&array.desc.shape, &expected.desc.shape));
  assert_int_equal(array.desc.dtype, expected.desc.dtype);
  if (array.desc.dtype == TNR_F32)
    for (size_t i = 0; i < array.size / sizeof(float); i++)
      assert_true(fabsf(((float *)array.data)[i] - ((float *)expected.data)[i]) <= tolerance);
  else
    assert_memory_equal(array.data, expected.data, array.size);
  array_finish(&array);
  array_finish(&expected);
}

static void save(const char *path, tnr_dtype dtype, tnr_shape shape, const void *data) {
  const tnr_desc desc = {shape, dtype};
  struct array array;
  tnr_fault fault;
  assert_int_equal(array_init(&array, &desc, &fault), TNR_OK);
  memcpy(array.data, data, array.size);
  assert_int_equal(array_save_npy(&array, path, &fault), TNR_OK);
  array_finish(&array);
}

static void save_model(const char *path, change_fn *change) {
  struct bytes model = changed_tiny(change);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(model.data, 1, model.size, file), model.size);
  assert_int_equal(fclose(file), 0);
  bytes_finish(&model);
}

/* ---- what it says of itself ---- */

static void says_its_version_and_its_help(void **state) {
  (void)state;
  assert_says(succeed("--version").out, "tenor 0.");
  struct outcome help = succeed("--help");
  assert_says(help.out, "run");
  assert_says(help.out, "devices");
  assert_says(succeed("run --help").out, "--threads-per-device");
  assert_says(succeed("devices --help").out, "Usage: tenor devices");
  assert_says(succeed("bench model --help").out, "--undisturbed");
  assert_says(succeed("bench matmul --help").out, "--patience N");
}

static void lists_the_devices(void **state) {
  (void)state;
  struct outcome devices = succeed("devices");
  assert_says(devices.out, "cpu:N");
  assert_says(devices.out, "sim:N");
  assert_says(devices.out, "null:N");
}

/* ---- what is wrong ---- */

#define TINY "run @tiny.onnx --input image=@tiny_image.npy "

static void benchmarks_print_json(void **state) {
  (void)state;
  struct outcome printed = succeed("bench dispatch --json --ops 100 --repeats 1 --workloads W1");
  assert_says(printed.out, "{\"bench\": \"dispatch\"");
  assert_says(printed.out, "\"metric\": \"end_to_end\"");
}

static void a_wrong_command_line_gives_2_and_a_sentence(void **state) {
  (void)state;
  static const struct {
    const char *arguments, *sentence;
  } cases[] = {
      {"walk", "there is no command 'walk'"},
      {"--wrong", "unrecognized option '--wrong'"},
      {"run", "there is no model"},
      {"run --wrong", "unrecognized option '--wrong'"},
      {"run --batch", "option '--batch' requires an argument"},
      {"run a.onnx b.onnx", "'b.onnx' is too many"},
      {"run a.onnx --input image", "--input takes NAME=FILE, not 'image'"},
      {"run a.onnx --output =file", "--output takes NAME=FILE, not '=file'"},
      {"run a.onnx --input a=b --input a=c", "--input a is given twice"},
      {"run a.onnx --batch 0", "--batch takes a whole number from 1 to "},
      {"run a.onnx --batch 8x", "not '8x'"},
      {"run a.onnx --threads-per-device -1", "--threads-per-device takes a whole number"},
      {"run a.onnx --mode fast", "--mode is async or blocking, not 'fast'"},
      {"run a.onnx --devices gpu:0", "there is no device 'gpu:0': the kinds are cpu, sim and null"},
      {"run a.onnx --devices cpu", "'cpu' is no device"},
      {"run a.onnx --devices cpu:0,", "'' is no device"},
      {"run a.onnx --devices cpu:1x", "'cpu:1x' is no device"},
      {"run a.onnx --devices cpu:64",
       "there is no device 'cpu:64': the last of its kind is cpu:63"},
      {"run a.onnx --devices cpu:0,sim:0,cpu:0", "device cpu:0 is listed twice"},
      {"devices cpu:0", "'cpu:0' is too many"},
      {"bench model --patience 0", "--patience needs a number from 1 to 999999, not '0'"},
      {"bench model --patience 1s", "--patience needs a number from 1 to 999999, not '1s'"},
      {"bench matmul --patience", "option '--patience' requires an argument"},
      {"bench matmul --undisturbed=yes", "option '--undisturbed' doesn't allow an argument"},
      {"bench matmul --repeats 0", "--repeats needs a number from 1 to "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fail_with(2, cases[i].arguments, cases[i].sentence);
    assert_says(tenor(cases[i].arguments).err, "--help'.");
  }
}

static void a_failure_gives_1_and_a_sentence(void **state) {
  (void)state;
  static const struct {
    const char *arguments, *sentence;
  } cases[] = {
      {"run @none.onnx", "none.onnx: No such file or directory"},
      {"run @broken.onnx", "broken.onnx: this is no ONNX model"},
      {"run @unsupported.onnx", "node 'second' (Det): this operator is not supported"},
      {"run @tiny.onnx",
       "the input 'image' is not given: add --input image=FILE (f32 [N, 1, 4, 4])"},
      {"run @tiny.onnx --input img=x", "the model has no input 'img': it has 'image'"},
      {TINY "--output y=y.npy", "the model has no output 'y': it has 'logits'"},
      {"run @tiny.onnx --input image=none.npy", "none.npy: No such file or directory"},
      {"run @tiny.onnx --input image=@f32_2x3.npy",
       "f32_2x3.npy: input 'image' takes f32 [N, 1, 4, 4], and this is f32 [2, 3]"},
      {"run @tiny.onnx --input image=i64.npy",
       "i64.npy: input 'image' takes f32 [N, 1, 4, 4], and this is i64 [5, 4, 4]"},
      {"run @tiny.onnx --input image=no_rows.npy", "input 'image' has no rows"},
      {TINY "--labels @f32_2x3.npy", "labels are whole numbers, and these are f32"},
      {TINY "--labels @i32_2x3.npy", "labels of shape [2, 3] do not go with 5 rows of input"},
      {TINY "--labels i64.npy",
       "labels of shape [5, 4, 4] do not go with predictions of shape [5]"},
      {TINY "--output logits=none/y.npy", "none/y.npy: No such file or directory"},
  };
  const int64_t zeros[ROWS * 16] = {0};
  save("i64.npy", TNR_I64, TNR_SHAPE(ROWS, 4, 4), zeros);
  save("no_rows.npy", TNR_F32, TNR_SHAPE(0, 4, 4), zeros);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    fail_with(1, cases[i].arguments, cases[i].sentence);
}

static Onnx__TypeProto__Tensor *image_type(Onnx__ModelProto *model) {
  return model->graph->input[0]->type->tensor_type;
}

static void forget_shape(Onnx__ModelProto *model) {
  onnx__tensor_shape_proto__free_unpacked(image_type(model)->shape, NULL);
  image_type(model)->shape = NULL;
}

/* What comes out of scaled bytes is not known yet when the model is applied to it. */
static void a_batch_that_fails_on_the_way_gives_1_and_a_sentence(void **state) {
  (void)state;
  static const char *const files[] = {"@f32_2x3.npy", "@u8_2x3.npy"};
  save_model("any_shape.onnx", forget_shape);
  for (int file = 0; file < 2; file++)
    for (int mode = 0; mode < MODES; mode++) {
      char arguments[TEXT_MAX];
      snprintf(arguments, sizeof arguments,
               "run any_shape.onnx --input image=%s --batch 1 --devices cpu:0,cpu:1 --mode %s",
               files[file], modes[mode]);
      fail_with(1, arguments, "conv2d");
    }
}

static void fix_rows_at_2(Onnx__ModelProto *model) {
  Onnx__TensorShapeProto__Dimension *rows = image_type(model)->shape->dim[0];
  set_text(&rows->dim_param, "");
  rows->has_dim_value = 1;
  rows->dim_value = 2;
}

static void fix_rows_at_5(Onnx__ModelProto *model) {
  fix_rows_at_2(model);
  image_type(model)->shape->dim[0]->dim_value = ROWS;
}

static void a_model_of_a_fixed_batch_gets_batches_of_that_size(void **state) {
  (void)state;
  save_model("rows_2.onnx", fix_rows_at_2);
  save_model("rows_5.onnx", fix_rows_at_5);
  fail_with(1, "run rows_2.onnx --input image=@tiny_image.npy",
            "input 'image' takes exactly 2 rows at a time, and this would be 5 rows in batches");
  fail_with(1, "run rows_5.onnx --input image=@tiny_image.npy --batch 1", "takes exactly 5 rows");
  succeed("run rows_5.onnx --input image=@tiny_image.npy --output logits=fixed.npy");
  assert_same_array("fixed.npy", DATA("tiny_logits.npy"), 1e-4F);
}

/* ---- what is right ---- */

static void both_modes_and_all_devices_give_the_right_logits(void **state) {
  (void)state;
  for (int mode = 0; mode < MODES; mode++)
    for (int devices = 0; devices < DEVICE_LISTS; devices++)
      for (int batch = 1; batch <= ROWS + 1; batch++) {
        char arguments[TEXT_MAX];
        snprintf(arguments, sizeof arguments,
                 TINY "--output logits=y.npy --mode %s --devices %s --batch %d", modes[mode],
                 device_lists[devices], batch);
        struct outcome outcome = succeed(arguments);
        assert_says(outcome.out, "logits: f32 [5, 3] in y.npy");
        assert_says(outcome.out, " images/s\n");
        assert_says(outcome.out, "calling thread held up: ");
        assert_same_array("y.npy", DATA("tiny_logits.npy"), 1e-4F);
      }
}

static void identical_outputs_in_both_modes_and_on_1_and_2_devices(void **state) {
  (void)state;
  succeed(TINY "--batch 2 --output logits=first.npy");
  for (int mode = 0; mode < MODES; mode++)
    for (int devices = 0; devices < 2; devices++) {
      char arguments[TEXT_MAX];
      snprintf(arguments, sizeof arguments,
               TINY "--batch 2 --output logits=y.npy --mode %s --devices %s", modes[mode],
               device_lists[devices]);
      succeed(arguments);
      assert_same_array("y.npy", "first.npy", 0);
    }
}

static void outputs_are_joined_whatever_rows_they_have(void **state) {
  (void)state;
  succeed("run @operators.onnx --input x=@operators_x.npy --batch 2 --devices cpu:0,cpu:1 "
          "--output whole=whole.npy --output probabilities=probabilities.npy");
  assert_same_array("whole.npy", DATA("operators_whole.npy"), 0);
  assert_same_array("probabilities.npy", DATA("operators_probabilities.npy"), 1e-4F);
}

static void gzip(const char *from, const char *to) {
  struct bytes bytes = slurp(from);
  gzFile file = gzopen(to, "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, bytes.data, (unsigned)bytes.size), bytes.size);
  assert_int_equal(gzclose(file), Z_OK);
  bytes_finish(&bytes);
}

static void bytes_are_scaled_and_get_the_missing_dimension(void **state) {
  (void)state;
  uint8_t grey[ROWS * 16];
  float scaled[ROWS * 16];
  for (int i = 0; i < ROWS * 16; i++) {
    grey[i] = (uint8_t)(i * 37);
    scaled[i] = (float)grey[i] / 255;
  }
  save("grey.npy", TNR_U8, TNR_SHAPE(ROWS, 4, 4), grey);
  save("scaled.npy", TNR_F32, TNR_SHAPE(ROWS, 1, 4, 4), scaled);
  gzip("grey.npy", "grey.npy.gz");
  succeed("run @tiny.onnx --input image=scaled.npy --output logits=expected.npy --batch 2");
  succeed("run @tiny.onnx --input image=grey.npy.gz --output logits=y.npy --batch 2");
  assert_same_array("y.npy", "expected.npy", 1e-6F);
  succeed("run @tiny.onnx --input image=grey.npy --output logits=y.npy --batch 2 --mode blocking "
          "--devices sim:0,cpu:0");
  assert_same_array("y.npy", "expected.npy", 1e-4F);
}

/* The labels are the largest logits, but for one. */
static void accuracy_is_the_share_of_right_labels(void **state) {
  (void)state;
  int32_t labels[ROWS];
  struct array logits = load(DATA("tiny_logits.npy"));
  for (int i = 0; i < ROWS; i++) {
    const float *row = (const float *)logits.data + i * CLASSES;
    labels[i] = row[1] > row[0];
    labels[i] = row[2] > row[labels[i]] ? 2 : labels[i];
  }
  array_finish(&logits);
  labels[ROWS - 1] += 1;
  save("labels.npy", TNR_I32, TNR_SHAPE(ROWS), labels);
  assert_says(succeed(TINY "--labels labels.npy --batch 2 --devices cpu:0,cpu:1").out,
              "\naccuracy: 80.00%\n");
  assert_says(succeed(TINY "--labels labels.npy --batch 2 --mode blocking").out,
              "\naccuracy: 80.00%\n");
}

static void says_that_null_devices_compute_nothing(void **state) {
  (void)state;
  assert_says(succeed(TINY "--devices null:0").err, "null devices compute nothing");
}

/* ---- the signal ---- */

static pid_t start_long_run(void) {
  enum { MANY = 300000 };
  float *zeros = calloc(MANY, 16 * sizeof *zeros);
  assert_non_null(zeros);
  save("many.npy", TNR_F32, TNR_SHAPE(MANY, 1, 4, 4), zeros);
  free(zeros);
  fflush(NULL);
  pid_t child = fork();
  if (child != 0)
    return child;
  if (freopen("long_err.txt", "w", stderr))
    execl(TENOR_COMMAND, "tenor", "run", DATA("tiny.onnx"), "--input", "image=many.npy", "--batch",
          "1", "--mode", "blocking", "--devices", "sim:0", NULL);
  _exit(127);
}

/* Until the file says it; false after a while. */
static bool comes_to_say(const char *path, const char *part) {
  char text[TEXT_MAX];
  for (int i = 0; i < 10000; i++) {
    read_text(path, text);
    if (strstr(text, part))
      return true;
    usleep(1000);
  }
  return false;
}

static void a_signal_tells_what_is_in_flight(void **state) {
  int status;
  (void)state;
  assert_true(access("long_err.txt", F_OK) != 0);
  pid_t child = start_long_run();
  assert_true(child > 0);
  while (access("long_err.txt", F_OK) != 0)
    usleep(1000);
  bool began = comes_to_say("long_err.txt", "on sim:0");
  assert_int_equal(kill(child, SIGUSR1), 0);
  bool told = comes_to_say("long_err.txt", " in flight\n");
  assert_int_equal(kill(child, SIGTERM), 0); /* it has gone on meanwhile */
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(began && told);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int enter_folder(void **state) {
  (void)state;
  return !mkdtemp(folder) || chdir(folder) != 0;
}

static int leave_folder(void **state) {
  (void)state;
  char line[TEXT_MAX];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return chdir("/") != 0 || system(line) != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_its_version_and_its_help),
      cmocka_unit_test(lists_the_devices),
      cmocka_unit_test(a_wrong_command_line_gives_2_and_a_sentence),
      cmocka_unit_test(a_failure_gives_1_and_a_sentence),
      cmocka_unit_test(a_batch_that_fails_on_the_way_gives_1_and_a_sentence),
      cmocka_unit_test(a_model_of_a_fixed_batch_gets_batches_of_that_size),
      cmocka_unit_test(both_modes_and_all_devices_give_the_right_logits),
      cmocka_unit_test(identical_outputs_in_both_modes_and_on_1_and_2_devices),
      cmocka_unit_test(outputs_are_joined_whatever_rows_they_have),
      cmocka_unit_test(bytes_are_scaled_and_get_the_missing_dimension),
      cmocka_unit_test(accuracy_is_the_share_of_right_labels),
      cmocka_unit_test(says_that_null_devices_compute_nothing),
      cmocka_unit_test(a_signal_tells_what_is_in_flight),
      cmocka_unit_test(benchmarks_print_json),
  };
  return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "fixture.h"

enum { FILE_LIMIT = 1 << 20 };

static char scratch[64];

static int make_scratch(void **state) {
  (void)state;
  snprintf(scratch, sizeof(scratch), "/tmp/tenor_array_XXXXXX");
  int fd = mkstemp(scratch);
  return fd < 0 || close(fd) != 0;
}

static int remove_scratch(void **state) {
  (void)state;
  return unlink(scratch);
}

static void write_scratch(const void *data, size_t size) {
  FILE *file = fopen(scratch, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static void load(const char *path, struct array *out) {
  tnr_fault fault = {0};
  tnr_status status = array_load(path, out, &fault);
  if (status != TNR_OK)
    print_error("%s\n", fault.message);
  assert_int_equal(status, TNR_OK);
}

static double element(const struct array *array, size_t i) {
  switch (array->desc.dtype) {
  case TNR_F32:
    return ((const float *)array->data)[i];
  case TNR_F16:
    return tnr_f16_to_f32(((const uint16_t *)array->data)[i]);
  case TNR_BF16:
    return tnr_bf16_to_f32(((const uint16_t *)array->data)[i]);
  case TNR_I8:
    return ((const int8_t *)array->data)[i];
  case TNR_I32:
    return ((const int32_t *)array->data)[i];
  case TNR_I64:
    return (double)((const int64_t *)array->data)[i];
  default:
    return ((const uint8_t *)array->data)[i];
  }
}

/* The files hold 0, 1, 2, …; as bools these are 0, 1, 1, … */
static void assert_counts(const struct array *array) {
  size_t count = (size_t)tnr_shape_elements(&array->desc.shape);
  assert_int_equal(array->size, count * tnr_dtype_size(array->desc.dtype));
  for (size_t i = 0; i < count; i++)
    assert_true(element(array, i) == (array->desc.dtype == TNR_BOOL ? (double)(i > 0) : (double)i));
}

static void assert_loads(const char *path, tnr_dtype dtype, tnr_shape shape) {
  struct array array;
  load(path, &array);
  assert_int_equal(array.desc.dtype, dtype);
  assert_true(tnr_shape_equal(&array.desc.shape, &shape));
  assert_counts(&array);
  array_finish(&array);
  assert_null(array.data);
}

static void assert_fails(const char *path, tnr_status status, const char *words) {
  struct array array;
  tnr_fault fault = {0};
  assert_int_equal(array_load(path, &array, &fault), status);
  assert_int_equal(fault.code, status);
  assert_null(array.data);
  assert_memory_equal(fault.message, path, strlen(path));
  if (!strstr(fault.message, words))
    fail_msg("'%s' does not say '%s'", fault.message, words);
}

static void assert_bytes_fail(const void *data, size_t size, tnr_status status, const char *words) {
  write_scratch(data, size);
  assert_fails(scratch, status, words);
}

static void npy_of_every_dtype_is_read(void **state) {
  (void)state;
  assert_loads(DATA("f32_2x3.npy"), TNR_F32, TNR_SHAPE(2, 3));
  assert_loads(DATA("f16_2x3.npy"), TNR_F16, TNR_SHAPE(2, 3));
  assert_loads(DATA("i8_2x3.npy"), TNR_I8, TNR_SHAPE(2, 3));
  assert_loads(DATA("u8_2x3.npy"), TNR_U8, TNR_SHAPE(2, 3));
  assert_loads(DATA("i32_2x3.npy"), TNR_I32, TNR_SHAPE(2, 3));
  assert_loads(DATA("i64_2x3.npy"), TNR_I64, TNR_SHAPE(2, 3));
  assert_loads(DATA("bool_2x3.npy"), TNR_BOOL, TNR_SHAPE(2, 3));
}

static void npy_of_every_version_is_read(void **state) {
  (void)state;
  assert_loads(DATA("version2.npy"), TNR_F32, TNR_SHAPE(2, 3));
  assert_loads(DATA("version3.npy"), TNR_F32, TNR_SHAPE(2, 3));
}

static void npy_in_fortran_order_becomes_row_major(void **state) {
  (void)state;
  assert_loads(DATA("fortran_2x3x4.npy"), TNR_F32, TNR_SHAPE(2, 3, 4));
}

static void npy_of_unusual_shapes_is_read(void **state) {
  (void)state;
  assert_loads(DATA("empty_0x3.npy"), TNR_F32, TNR_SHAPE(0, 3));
  assert_loads(DATA("one_dim.npy"), TNR_F32, TNR_SHAPE(3));
  struct array array;
  load(DATA("scalar.npy"), &array);
  assert_int_equal(array.desc.shape.rank, 0);
  assert_true(element(&array, 0) == 7);
  array_finish(&array);
}

static void idx_of_every_dtype_is_read(void **state) {
  (void)state;
  assert_loads(DATA("u8_2x3.idx"), TNR_U8, TNR_SHAPE(2, 3));
  assert_loads(DATA("i8_2x3.idx"), TNR_I8, TNR_SHAPE(2, 3));
  assert_loads(DATA("i32_2x3.idx"), TNR_I32, TNR_SHAPE(2, 3));
  assert_loads(DATA("f32_2x3.idx"), TNR_F32, TNR_SHAPE(2, 3));
}

static void gzip_is_unpacked(void **state) {
  (void)state;
  assert_loads(DATA("f32_2x3.idx.gz"), TNR_F32, TNR_SHAPE(2, 3));
}

static void tensor_proto_with_raw_data_is_read(void **state) {
  (void)state;
  assert_loads(DATA("f32_2x3_raw.pb"), TNR_F32, TNR_SHAPE(2, 3));
  assert_loads(DATA("f16_2x3_raw.pb"), TNR_F16, TNR_SHAPE(2, 3));
  assert_loads(DATA("i8_2x3_raw.pb"), TNR_I8, TNR_SHAPE(2, 3));
  assert_loads(DATA("u8_2x3_raw.pb"), TNR_U8, TNR_SHAPE(2, 3));
  assert_loads(DATA("i32_2x3_raw.pb"), TNR_I32, TNR_SHAPE(2, 3));
  assert_loads(DATA("i64_2x3_raw.pb"), TNR_I64, TNR_SHAPE(2, 3));
  assert_loads(DATA("bool_2x3_raw.pb"), TNR_BOOL, TNR_SHAPE(2, 3));
}

static void tensor_proto_with_typed_data_is_read(void **state) {
  (void)state;
  assert_loads(DATA("f32_2x3_typed.pb"), TNR_F32, TNR_SHAPE(2, 3));
  assert_loads(DATA("bf16_2x3_typed.pb"), TNR_BF16, TNR_SHAPE(2, 3));
  assert_loads(DATA("f16_2x3_typed.pb"), TNR_F16, TNR_SHAPE(2, 3));
  assert_loads(DATA("i8_2x3_typed.pb"), TNR_I8, TNR_SHAPE(2, 3));
  assert_loads(DATA("u8_2x3_typed.pb"), TNR_U8, TNR_SHAPE(2, 3));
  assert_loads(DATA("i32_2x3_typed.pb"), TNR_I32, TNR_SHAPE(2, 3));
  assert_loads(DATA("i64_2x3_typed.pb"), TNR_I64, TNR_SHAPE(2, 3));
  assert_loads(DATA("bool_2x3_typed.pb"), TNR_BOOL, TNR_SHAPE(2, 3));
}

static void data_is_aligned_for_vectors(void **state) {
  (void)state;
  struct array array;
  load(DATA("u8_2x3.npy"), &array);
  assert_int_equal((uintptr_t)array.data % 64, 0);
  array_finish(&array);
}

static void unknown_element_types_are_named(void **state) {
  (void)state;
  assert_fails(DATA("f64.npy"), TNR_EDTYPE, "'<f8'");
  assert_fails(DATA("big_endian.npy"), TNR_EDTYPE, "'>f4'");
  assert_fails(DATA("i16.idx"), TNR_EDTYPE, "i16");
  assert_fails(DATA("f64.pb"), TNR_EDTYPE, "double");
}

static void files_that_cannot_be_read_are_named(void **state) {
  (void)state;
  assert_fails("/nowhere/at/all.npy", TNR_EINVAL, "No such file");
  assert_fails("/tmp", TNR_EINVAL, "directory");
  assert_bytes_fail("", 0, TNR_EINVAL, "empty");
  assert_bytes_fail("once upon a time", 16, TNR_EINVAL, "no .npy, IDX or ONNX TensorProto");
}

static void of_a_long_path_the_end_is_shown(void **state) {
  (void)state;
  char path[400];
  memset(path, 'x', sizeof(path));
  snprintf(path + 380, 20, "/last.npy");
  struct array array;
  tnr_fault fault;
  assert_int_equal(array_load(path, &array, &fault), TNR_EINVAL);
  assert_non_null(strstr(fault.message, "/last.npy: "));
}

static void a_fault_shows_no_control_characters(void **state) {
  (void)state;
  struct array array;
  tnr_fault fault;
  assert_int_equal(array_load("/tmp/\033[2Jnone", &array, &fault), TNR_EINVAL);
  assert_non_null(strstr(fault.message, "?[2Jnone"));
}

/* An .npy file with this dictionary and no elements. */
static void assert_npy_header_fails(const char *dictionary, tnr_status status, const char *words) {
  char file[400];
  size_t length = strlen(dictionary);
  memcpy(file, "\x93NUMPY\x01\x00", 8);
  file[8] = (char)length;
  file[9] = (char)(length >> 8);
  memcpy(file + 10, dictionary, length);
  assert_bytes_fail(file, 10 + length, status, words);
}

#define NPY_DICTIONARY(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }"

static void npy_with_absurd_shapes_is_refused(void **state) {
  (void)state;
  assert_npy_header_fails(NPY_DICTIONARY("(9223372036854775807, 2)"), TNR_EOVERFLOW, "");
  assert_npy_header_fails(NPY_DICTIONARY("(9223372036854775807,)"), TNR_EOVERFLOW, "");
  assert_npy_header_fails(NPY_DICTIONARY("(9223372036854775808,)"), TNR_EINVAL, "damaged");
  assert_npy_header_fails(NPY_DICTIONARY("(-1,)"), TNR_EINVAL, "damaged");
  assert_npy_header_fails(NPY_DICTIONARY("(1, 1, 1, 1, 1, 1, 1, 1, 1)"), TNR_ESHAPE, "");
  assert_npy_header_fails(NPY_DICTIONARY("(1000000, 1000000)"), TNR_EINVAL, "4000000000000 bytes");
}

static void npy_with_a_damaged_header_is_refused(void **state) {
  (void)state;
  static const char *const dictionaries[] = {
      "",
      "{",
      "{}",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } and more",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<f4<f4<f4<f4<f4<f4', 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<f4",
      "{'other': '<f4', 'fortran_order': False, 'shape': (1,), }",
  };
  for (size_t i = 0; i < sizeof(dictionaries) / sizeof(dictionaries[0]); i++)
    assert_npy_header_fails(dictionaries[i], TNR_EINVAL, "header is damaged");
  assert_bytes_fail("\x93NUMPY\x04\x00\x00\x00", 10, TNR_EINVAL, "version 4");
  assert_bytes_fail("\x93NUMPY\x01\x00\xff\xff", 10, TNR_EINVAL, "too early");
  assert_bytes_fail("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, TNR_EINVAL, "too early");
}

static void idx_with_absurd_shapes_is_refused(void **state) {
  (void)state;
  static const uint8_t huge[] = {0, 0, 8, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  assert_bytes_fail(huge, sizeof(huge), TNR_EOVERFLOW, "");
  static const uint8_t large[] = {0, 0, 8, 1, 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
  assert_bytes_fail(large, sizeof(large), TNR_EINVAL, "there are 3");
  static const uint8_t deep[60] = {0, 0, 8, 9};
  assert_bytes_fail(deep, sizeof(deep), TNR_ESHAPE, "9 dimensions");
}

static void tensor_proto_that_contradicts_itself_is_refused(void **state) {
  (void)state;
  /* Field numbers: 1 dims, 2 data_type, 4 float_data, 5 int32_data, 9 raw_data, 13 and 14 external.
   */
  static const uint8_t negative[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0x01, 0x10, 0x01};
  assert_bytes_fail(negative, sizeof(negative), TNR_ESHAPE, "dimension 0 is -1");
  static const uint8_t no_type[] = {0x08, 0x01, 0x4a, 0x01, 0x00};
  assert_bytes_fail(no_type, sizeof(no_type), TNR_EDTYPE, "missing");
  static const uint8_t type_99[] = {0x08, 0x01, 0x10, 99};
  assert_bytes_fail(type_99, sizeof(type_99), TNR_EDTYPE, "99");
  static const uint8_t no_data[] = {0x08, 0x02, 0x10, 0x01};
  assert_bytes_fail(no_data, sizeof(no_data), TNR_EINVAL, "takes 8 bytes");
  static const uint8_t twice[] = {0x08, 0x01, 0x10, 0x06, 0x2a, 1, 5, 0x4a, 4, 1, 2, 3, 4};
  assert_bytes_fail(twice, sizeof(twice), TNR_EINVAL, "more than one form");
  static const uint8_t external[] = {0x08, 0x01, 0x10, 0x01, 0x70, 0x01};
  assert_bytes_fail(external, sizeof(external), TNR_EINVAL, "in another file");
  static const uint8_t u8_300[] = {0x08, 0x01, 0x10, 0x02, 0x2a, 2, 0xac, 0x02};
  assert_bytes_fail(u8_300, sizeof(u8_300), TNR_EINVAL, "element 0 is 300, which is no u8");
}

/* Files of every format; the first `STRICT` have nothing that could be left out at the end. */
static const char *const samples[] = {
    DATA("f32_2x3.npy"),      DATA("fortran_2x3x4.npy"), DATA("version3.npy"),
    DATA("i64_2x3.npy"),      DATA("u8_2x3.idx"),        DATA("f32_2x3.idx"),
    DATA("f32_2x3.idx.gz"),   DATA("f32_2x3_raw.pb"),    DATA("f32_2x3_typed.pb"),
    DATA("i64_2x3_typed.pb"), DATA("bool_2x3_typed.pb"), DATA("bf16_2x3_typed.pb"),
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]), STRICT = 7 };

/* Loads the scratch file: an array, or a sentence. Returns whether it loaded. */
static bool try_scratch(void) {
  struct array array;
  tnr_fault fault = {0};
  tnr_status status = array_load(scratch, &array, &fault);
  if (status == TNR_OK) {
    array_finish(&array);
    return true;
  }
  assert_int_equal(fault.code, status);
  assert_null(array.data);
  assert_memory_equal(fault.message, scratch, strlen(scratch));
  return false;
}

static void files_cut_anywhere_give_a_sentence(void **state) {
  (void)state;
  for (int i = 0; i < SAMPLES; i++) {
    struct bytes file = slurp(samples[i]);
    for (size_t size = 0; size < file.size; size++) {
      write_scratch(file.data, size);
      if (try_scratch() && i < STRICT)
        fail_msg("%s loads when cut to %zu bytes", samples[i], size);
    }
    bytes_finish(&file);
  }
}

static void files_with_more_behind_give_a_sentence(void **state) {
  (void)state;
  for (int i = 0; i < STRICT; i++) {
    struct bytes file = slurp(samples[i]);
    uint8_t longer[1024];
    assert_true(file.size < sizeof(longer));
    memcpy(longer, file.data, file.size);
    longer[file.size] = 0x5a;
    write_scratch(longer, file.size + 1);
    assert_false(try_scratch());
    bytes_finish(&file);
  }
}

static void files_with_flipped_bits_do_no_harm(void **state) {
  (void)state;
  unsigned seed = 1;
  for (int i = 0; i < SAMPLES; i++) {
    struct bytes file = slurp(samples[i]);
    for (int round = 0; round < 500; round++) {
      size_t at = (size_t)rand_r(&seed) % file.size;
      uint8_t kept = file.data[at];
      file.data[at] ^= (uint8_t)(1 + rand_r(&seed) % 255);
      write_scratch(file.data, file.size);
      try_scratch();
      file.data[at] = kept;
    }
    bytes_finish(&file);
  }
}

static void garbage_behind_every_beginning_does_no_harm(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
  } beginnings[] = {{"", 0}, {"\x93NUMPY\x01", 7}, {"\0\0\x08\x02", 4}, {"\x1f\x8b\x08\0", 4}};
  unsigned seed = 1;
  for (int round = 0; round < 4000; round++) {
    uint8_t file[64];
    for (size_t i = 0; i < sizeof(file); i++)
      file[i] = (uint8_t)rand_r(&seed);
    memcpy(file, beginnings[round % 4].bytes, beginnings[round % 4].size);
    write_scratch(file, (size_t)rand_r(&seed) % sizeof(file));
    try_scratch();
  }
}

static void assert_saves_like_numpy(const char *path) {
  struct array array;
  tnr_fault fault;
  load(path, &array);
  assert_int_equal(array_save_npy(&array, scratch, &fault), TNR_OK);
  struct bytes numpy = slurp(path), ours = slurp(scratch);
  assert_int_equal(ours.size, numpy.size);
  assert_memory_equal(ours.data, numpy.data, numpy.size);
  bytes_finish(&numpy);
  bytes_finish(&ours);
  array_finish(&array);
}

static void npy_is_saved_to_the_byte_as_numpy_does(void **state) {
  (void)state;
  assert_saves_like_numpy(DATA("f32_2x3.npy"));
  assert_saves_like_numpy(DATA("f16_2x3.npy"));
  assert_saves_like_numpy(DATA("i8_2x3.npy"));
  assert_saves_like_numpy(DATA("u8_2x3.npy"));
  assert_saves_like_numpy(DATA("i32_2x3.npy"));
  assert_saves_like_numpy(DATA("i64_2x3.npy"));
  assert_saves_like_numpy(DATA("bool_2x3.npy"));
  assert_saves_like_numpy(DATA("scalar.npy"));
  assert_saves_like_numpy(DATA("one_dim.npy"));
  assert_saves_like_numpy(DATA("empty_0x3.npy"));
}

static void what_cannot_be_saved_gives_a_sentence(void **state) {
  (void)state;
  struct array array;
  tnr_fault fault;
  load(DATA("f32_2x3.npy"), &array);
  assert_int_equal(array_save_npy(&array, "/nowhere/out.npy", &fault), TNR_EINVAL);
  assert_string_equal(fault.message, "/nowhere/out.npy: No such file or directory");
  assert_int_equal(array_save_npy(&array, "/dev/full", &fault), TNR_EINVAL);
  assert_string_equal(fault.message, "/dev/full: No space left on device");
  array_finish(&array);
  load(DATA("bf16_2x3_typed.pb"), &array);
  assert_int_equal(array_save_npy(&array, scratch, &fault), TNR_EDTYPE);
  assert_non_null(strstr(fault.message, "no bf16"));
  array_finish(&array);
}

static void unpacking_stops_at_the_limit(void **state) {
  (void)state;
  struct bytes packed = slurp(DATA("f32_2x3.idx.gz"));
  tnr_fault fault;
  for (size_t limit = 0; limit < 36; limit++)
    assert_int_equal(bytes_gunzip(&packed, limit, &fault), TNR_EOVERFLOW);
  assert_int_equal(bytes_gunzip(&packed, 36, &fault), TNR_OK);
  assert_int_equal(packed.size, 36);
  bytes_finish(&packed);
}

static void reading_stops_at_the_limit(void **state) {
  (void)state;
  struct bytes file;
  tnr_fault fault;
  for (size_t limit = 0; limit < 36; limit++)
    assert_int_equal(bytes_read(DATA("f32_2x3.idx"), limit, &file, &fault), TNR_EOVERFLOW);
  assert_int_equal(bytes_read(DATA("f32_2x3.idx"), 36, &file, &fault), TNR_OK);
  assert_int_equal(file.size, 36);
  bytes_finish(&file);
  assert_int_equal(bytes_read("/dev/zero", 100000, &file, &fault), TNR_EOVERFLOW);
}

static void gzip_members_in_a_row_are_one_file(void **state) {
  (void)state;
  struct bytes one = slurp(DATA("f32_2x3.idx.gz"));
  struct bytes two = {malloc(2 * one.size), 2 * one.size};
  tnr_fault fault;
  assert_non_null(two.data);
  memcpy(two.data, one.data, one.size);
  memcpy(two.data + one.size, one.data, one.size);
  assert_int_equal(bytes_gunzip(&two, FILE_LIMIT, &fault), TNR_OK);
  assert_int_equal(two.size, 72);
  assert_memory_equal(two.data, two.data + 36, 36);
  bytes_finish(&one);
  bytes_finish(&two);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(npy_of_every_dtype_is_read),
      cmocka_unit_test(npy_of_every_version_is_read),
      cmocka_unit_test(npy_in_fortran_order_becomes_row_major),
      cmocka_unit_test(npy_of_unusual_shapes_is_read),
      cmocka_unit_test(idx_of_every_dtype_is_read),
      cmocka_unit_test(gzip_is_unpacked),
      cmocka_unit_test(tensor_proto_with_raw_data_is_read),
      cmocka_unit_test(tensor_proto_with_typed_data_is_read),
      cmocka_unit_test(data_is_aligned_for_vectors),
      cmocka_unit_test(unknown_element_types_are_named),
      cmocka_unit_test(files_that_cannot_be_read_are_named),
      cmocka_unit_test(of_a_long_path_the_end_is_shown),
      cmocka_unit_test(a_fault_shows_no_control_characters),
      cmocka_unit_test(npy_with_absurd_shapes_is_refused),
      cmocka_unit_test(npy_with_a_damaged_header_is_refused),
      cmocka_unit_test(idx_with_absurd_shapes_is_refused),
      cmocka_unit_test(tensor_proto_that_contradicts_itself_is_refused),
      cmocka_unit_test(files_cut_anywhere_give_a_sentence),
      cmocka_unit_test(files_with_more_behind_give_a_sentence),
      cmocka_unit_test(files_with_flipped_bits_do_no_harm),
      cmocka_unit_test(garbage_behind_every_beginning_does_no_harm),
      cmocka_unit_test(npy_is_saved_to_the_byte_as_numpy_does),
      cmocka_unit_test(what_cannot_be_saved_gives_a_sentence),
      cmocka_unit_test(unpacking_stops_at_the_limit),
      cmocka_unit_test(reading_stops_at_the_limit),
      cmocka_unit_test(gzip_members_in_a_row_are_one_file),
  };
  return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}

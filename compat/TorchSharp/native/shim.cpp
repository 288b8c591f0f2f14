// The C ABI between compat/TorchSharp and libtorch.
//
// libtorch's dispatcher already is a stable calling convention: an operator is found by
// (name, overload) and called "boxed" on a stack of tagged values. So this file exports one
// call for all operators, and by hand only what is no operator: storage, autograd, generators,
// threads, devices. A tensor handle is an owned c10::TensorImpl*; nothing throws across the
// boundary: a call that fails returns non-zero and leaves its message in ts_last_error.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

#include <string>
#include <vector>

using at::IValue;
using at::Tensor;
using torch::autograd::variable_list;

namespace {

enum Tag : int32_t {
  kDefault = 0, kNone = 1, kTensor = 2, kInt = 3, kDouble = 4, kBool = 5, kInts = 6, kDoubles = 7,
  kTensors = 8, kString = 9, kDevice = 10, kGenerator = 11, kOptionalTensors = 12
};

struct Value {
  int32_t tag;
  int32_t count;
  union { int64_t i; double d; void* p; };
};
static_assert(sizeof(Value) == 16, "the managed side mirrors this layout");

thread_local std::string last_error;

template <class F> int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const c10::Error& e) {
    last_error = e.what_without_backtrace();
  } catch (const std::exception& e) {
    last_error = e.what();
  } catch (...) {
    last_error = "unknown native exception";
  }
  return 1;
}

Tensor borrow(void* handle) {
  if (!handle) return Tensor();
  return Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim_copy(
      static_cast<c10::TensorImpl*>(handle)));
}

void* release(Tensor t) { return t.defined() ? t.unsafeReleaseTensorImpl() : nullptr; }

variable_list borrow_all(void** handles, int count) {
  variable_list list;
  list.reserve(count);
  for (int i = 0; i < count; i++) list.push_back(borrow(handles[i]));
  return list;
}

c10::Device device_of(int64_t packed) {
  return c10::Device(static_cast<c10::DeviceType>(packed >> 32), static_cast<c10::DeviceIndex>(static_cast<int32_t>(packed)));
}

IValue unpack(const Value& v, const c10::Argument& formal) {
  switch (v.tag) {
    case kDefault:
      if (formal.default_value()) return *formal.default_value();
      return IValue();
    case kNone: return IValue();
    case kTensor: return v.p ? IValue(borrow(v.p)) : IValue();
    case kInt: return formal.type()->kind() == c10::TypeKind::FloatType ? IValue(static_cast<double>(v.i)) : IValue(v.i);
    case kDouble: return IValue(v.d);
    case kBool: return IValue(v.i != 0);
    case kInts: return IValue(std::vector<int64_t>(static_cast<int64_t*>(v.p), static_cast<int64_t*>(v.p) + v.count));
    case kDoubles: return IValue(std::vector<double>(static_cast<double*>(v.p), static_cast<double*>(v.p) + v.count));
    case kTensors: return IValue(borrow_all(static_cast<void**>(v.p), v.count));
    case kOptionalTensors: {
      c10::List<c10::optional<Tensor>> list;
      for (int i = 0; i < v.count; i++) {
        void* h = static_cast<void**>(v.p)[i];
        list.push_back(h ? c10::optional<Tensor>(borrow(h)) : c10::optional<Tensor>());
      }
      return IValue(list);
    }
    case kString: return IValue(std::string(static_cast<char*>(v.p), v.count));
    case kDevice: return IValue(device_of(v.i));
    case kGenerator: return IValue(*static_cast<at::Generator*>(v.p));
  }
  TORCH_CHECK(false, "unknown argument tag ", v.tag);
}

int pack(const IValue& r, Value* out, int capacity) {
  if (r.isTensor()) {
    out[0] = Value{kTensor, 0, {0}};
    out[0].p = release(r.toTensor());
    return 1;
  }
  if (r.isTensorList()) {
    auto list = r.toTensorVector();
    TORCH_CHECK(static_cast<int>(list.size()) <= capacity, "operator returned ", list.size(), " tensors, room for ", capacity);
    for (size_t i = 0; i < list.size(); i++) {
      out[i] = Value{kTensor, 0, {0}};
      out[i].p = release(list[i]);
    }
    return static_cast<int>(list.size());
  }
  if (r.isBool()) { out[0] = Value{kBool, 0, {r.toBool()}}; return 1; }
  if (r.isInt()) { out[0] = Value{kInt, 0, {r.toInt()}}; return 1; }
  if (r.isDouble()) { out[0] = Value{kDouble, 0, {0}}; out[0].d = r.toDouble(); return 1; }
  TORCH_CHECK(false, "operator returned an unsupported kind of value: ", r.tagKind());
}

// The managed backward: fills grad_inputs (owned handles or null), returns non-zero on failure.
using Callback = int (*)(int64_t context, void** grad_outputs, int n_outputs, void** grad_inputs, int n_inputs);
using Released = void (*)(int64_t context);

struct ManagedNode : torch::autograd::Node {
  Callback callback;
  Released released;
  int64_t context;
  int inputs;

  variable_list apply(variable_list&& grads) override {
    std::vector<void*> in, out(inputs, nullptr);
    for (auto& g : grads) in.push_back(release(g));
    int rc = callback(context, in.data(), static_cast<int>(in.size()), out.data(), inputs);
    variable_list result;
    for (void* h : out)
      result.push_back(h ? Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(static_cast<c10::TensorImpl*>(h))) : Tensor());
    TORCH_CHECK(rc == 0, "the backward of a managed autograd function failed");
    return result;
  }
  ~ManagedNode() override { released(context); }
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT const char* ts_last_error() { return last_error.c_str(); }
EXPORT const char* ts_version() { return TORCH_VERSION; }

EXPORT int ts_find(const char* name, const char* overload, void** op, int* arity) {
  return guarded([&] {
    auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    TORCH_CHECK(found.has_value(), "this libtorch has no operator ", name, ".", overload);
    *arity = static_cast<int>(found->schema().arguments().size());
    *op = new c10::OperatorHandle(*found);
  });
}

EXPORT int ts_call(void* op, const Value* args, int count, Value* outs, int capacity, int* returned) {
  return guarded([&] {
    auto& handle = *static_cast<c10::OperatorHandle*>(op);
    const auto& formals = handle.schema().arguments();
    torch::jit::Stack stack;
    stack.reserve(formals.size() + 1);
    static const Value missing{kDefault, 0, {0}};
    for (size_t i = 0; i < formals.size(); i++)
      stack.push_back(unpack(static_cast<int>(i) < count ? args[i] : missing, formals[i]));
    handle.callBoxed(&stack);
    int n = 0;
    for (auto& r : stack) n += pack(r, outs + n, capacity - n);
    *returned = n;
  });
}

EXPORT void ts_free(void** handles, int count) {
  for (int i = 0; i < count; i++)
    c10::raw::intrusive_ptr::decref(static_cast<c10::TensorImpl*>(handles[i]));
}

EXPORT int ts_from_buffer(const void* data, const int64_t* sizes, int rank, int dtype, void** out) {
  return guarded([&] {
    auto t = at::empty(at::IntArrayRef(sizes, rank), at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)));
    if (t.nbytes()) memcpy(t.data_ptr(), data, t.nbytes());
    *out = release(t);
  });
}

EXPORT int64_t ts_dim(void* h) { return static_cast<c10::TensorImpl*>(h)->dim(); }
EXPORT int64_t ts_numel(void* h) { return static_cast<c10::TensorImpl*>(h)->numel(); }
EXPORT void ts_sizes(void* h, int64_t* out) { for (auto s : static_cast<c10::TensorImpl*>(h)->sizes()) *out++ = s; }
EXPORT void ts_strides(void* h, int64_t* out) { for (auto s : static_cast<c10::TensorImpl*>(h)->strides()) *out++ = s; }
EXPORT int ts_dtype(void* h) { return static_cast<int>(c10::typeMetaToScalarType(static_cast<c10::TensorImpl*>(h)->dtype())); }
EXPORT int ts_contiguous(void* h) { return static_cast<c10::TensorImpl*>(h)->is_contiguous(); }
EXPORT int64_t ts_device(void* h) {
  auto d = static_cast<c10::TensorImpl*>(h)->device();
  return (static_cast<int64_t>(d.type()) << 32) | static_cast<uint32_t>(static_cast<int32_t>(d.index()));
}
EXPORT int ts_data(void* h, void** out) { return guarded([&] { *out = borrow(h).data_ptr(); }); }
EXPORT int ts_requires_grad(void* h) { return borrow(h).requires_grad(); }
EXPORT int ts_set_requires_grad(void* h, int on) { return guarded([&] { borrow(h).set_requires_grad(on != 0); }); }
EXPORT int ts_is_leaf(void* h) { return borrow(h).is_leaf(); }
EXPORT int ts_get_grad(void* h, void** out) { return guarded([&] { *out = release(borrow(h).grad()); }); }
EXPORT int ts_set_grad(void* h, void* g) { return guarded([&] { borrow(h).mutable_grad() = borrow(g); }); }

EXPORT int ts_backward(void* h, void* gradient, int retain, int create) {
  return guarded([&] {
    torch::autograd::backward({borrow(h)}, gradient ? variable_list{borrow(gradient)} : variable_list{}, retain != 0, create != 0);
  });
}

EXPORT int ts_grad(void** outputs, int n_outputs, void** inputs, int n_inputs, void** grad_outputs, int n_grad_outputs,
                   int retain, int create, int allow_unused, void** grads) {
  return guarded([&] {
    auto result = torch::autograd::grad(borrow_all(outputs, n_outputs), borrow_all(inputs, n_inputs),
                                        borrow_all(grad_outputs, n_grad_outputs), retain != 0, create != 0, allow_unused != 0);
    for (int i = 0; i < n_inputs; i++) grads[i] = release(result[i]);
  });
}

EXPORT int ts_managed_function(void** inputs, int n_inputs, void** outputs, int n_outputs, Callback callback,
                               Released released, int64_t context) {
  return guarded([&] {
    auto in = borrow_all(inputs, n_inputs);
    std::shared_ptr<ManagedNode> node(new ManagedNode(), torch::autograd::deleteNode);
    node->callback = callback;
    node->released = released;
    node->context = context;
    node->inputs = n_inputs;
    node->set_next_edges(torch::autograd::collect_next_edges(in));
    for (auto& t : borrow_all(outputs, n_outputs)) torch::autograd::set_history(t, node);
  });
}

EXPORT int ts_grad_enabled() { return c10::GradMode::is_enabled(); }
EXPORT void ts_set_grad_enabled(int on) { c10::GradMode::set_enabled(on != 0); }

EXPORT int ts_generator(int64_t device, void** out) {
  return guarded([&] {
    auto d = device_of(device);
    *out = new at::Generator(d.is_cpu() ? at::detail::createCPUGenerator() : at::globalContext().defaultGenerator(d).clone());
  });
}
EXPORT int ts_default_generator(void** out) {
  return guarded([&] { *out = new at::Generator(at::detail::getDefaultCPUGenerator()); });
}
EXPORT int ts_generator_seed(void* g, uint64_t seed) {
  return guarded([&] { static_cast<at::Generator*>(g)->set_current_seed(seed); });
}
EXPORT void ts_generator_free(void* g) { delete static_cast<at::Generator*>(g); }

EXPORT int ts_num_threads() { return at::get_num_threads(); }
EXPORT int ts_set_num_threads(int n) { return guarded([&] { at::set_num_threads(n); }); }
EXPORT int ts_cuda_available() { return at::hasCUDA() && at::detail::getCUDAHooks().hasCUDA(); }
EXPORT int ts_cuda_device_count() {
  int n = 0;
  guarded([&] { n = static_cast<int>(at::detail::getCUDAHooks().getNumGPUs()); });
  return n;
}
